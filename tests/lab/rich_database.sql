-- A bit of everything that a dump has to carry, and much that a careless one drops.
CREATE EXTENSION pg_trgm;
CREATE SCHEMA "Über Shop";
CREATE TYPE mood AS ENUM ('happy', '悲しい');
CREATE DOMAIN positive AS integer CHECK (VALUE > 0);
CREATE SEQUENCE odd_numbers INCREMENT 2 START 7;
CREATE TABLE customer (
  id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, feeling mood, born date, balance numeric(20, 5),
  seen timestamptz, pause interval, raw bytea, tags text[], profile jsonb, ratio double precision, amount positive,
  upper_name text GENERATED ALWAYS AS (upper(name)) STORED
);
INSERT INTO customer (name, feeling, born, balance, seen, pause, raw, tags, profile, ratio, amount)
SELECT '顧客 № ' || n || ' – Ünïcödé 👩‍🚀', CASE WHEN n % 3 = 0 THEN '悲しい'::mood END, date '1970-01-01' + n, n * 1.00001,
  timestamptz '2026-02-01 09:30+09' + n * interval '1 minute', n * interval '1 day 2 hours', decode(md5(n::text), 'hex'),
  ARRAY['a,b', E'tab\tline\nend', '\.', NULL], jsonb_build_object('n', n, '名', repeat('字', n % 50)),
  CASE n % 4 WHEN 0 THEN 'NaN' WHEN 1 THEN '-Infinity' ELSE 0.1 + n END, n
FROM generate_series(1, 2000) AS n;
CREATE TABLE "Über Shop"."Order ""2""" (
  id uuid PRIMARY KEY, customer bigint NOT NULL REFERENCES customer ON DELETE CASCADE, note text CHECK (note <> ''),
  EXCLUDE USING btree (id WITH =)
);
INSERT INTO "Über Shop"."Order ""2""" SELECT md5(n::text)::uuid, n, 'COPY public.fake (id) FROM stdin;' FROM generate_series(1, 500) n;
CREATE TABLE event (at date, what text) PARTITION BY RANGE (at);
CREATE TABLE event_2025 PARTITION OF event FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE event_2026 PARTITION OF event FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO event SELECT date '2025-06-01' + n, 'event ' || n FROM generate_series(1, 400) AS n;
CREATE TABLE nothing ();
INSERT INTO nothing DEFAULT VALUES;
CREATE TABLE empty (id integer);
CREATE UNLOGGED TABLE cache (key text, value text);
INSERT INTO cache VALUES ('k', E'a\\b\\.\r');
CREATE INDEX ON customer USING gin (name gin_trgm_ops);
CREATE INDEX partial ON customer (lower(name)) WHERE balance > 10;
CREATE VIEW happy AS SELECT name FROM customer WHERE feeling = 'happy';
CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM customer;
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
-- COPY public.fake (id) FROM stdin;
  NEW.seen := now(); RETURN NEW;
END $$;
CREATE TRIGGER touched BEFORE UPDATE ON customer FOR EACH ROW EXECUTE FUNCTION touch();
COMMENT ON TABLE customer IS 'お客様';
ALTER TABLE customer CLUSTER ON customer_pkey;
CREATE TABLE schema_migrations (name text PRIMARY KEY);
INSERT INTO schema_migrations VALUES ('0001_first'), ('0002_second');
SELECT lo_from_bytea(0, decode(repeat('00ff', 5000), 'hex'));
SELECT nextval('odd_numbers'), nextval('odd_numbers');
