-- Existing rows violate this: the database refuses it with 23514.
ALTER TABLE orders ADD CONSTRAINT orders_above_a_million CHECK (amount > 1000000);
