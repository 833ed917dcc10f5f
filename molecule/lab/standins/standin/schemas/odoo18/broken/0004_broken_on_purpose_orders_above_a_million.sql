-- Existing rows violate this: the database refuses it with 23514.
ALTER TABLE sale_order ADD CONSTRAINT sale_order_above_a_million CHECK (amount_total > 1000000);
