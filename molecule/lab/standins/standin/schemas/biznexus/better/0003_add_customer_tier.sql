-- Expands only: the release before keeps working on it.
ALTER TABLE customers ADD COLUMN tier text NOT NULL DEFAULT 'standard';
UPDATE customers SET tier = 'gold'
WHERE id IN (SELECT customer_id FROM orders GROUP BY customer_id HAVING sum(amount) > 60000);
