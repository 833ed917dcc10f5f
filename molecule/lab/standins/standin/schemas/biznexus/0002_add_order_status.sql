ALTER TABLE orders ADD COLUMN status text NOT NULL DEFAULT 'paid';
UPDATE orders SET status = 'open' WHERE id % 11 = 0;
