ALTER TABLE sale_order ADD COLUMN note text;
UPDATE sale_order SET note = '至急 – urgent' WHERE amount_total > 400000;
