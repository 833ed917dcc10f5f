-- Existing rows violate this: the database refuses it with 23514.
ALTER TABLE jobs ADD CONSTRAINT jobs_above_a_gigabyte CHECK (bytes > 1000000000);
