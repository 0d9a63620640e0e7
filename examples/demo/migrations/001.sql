-- The migration of the demo. Run twice, or by two replicas at once, it fails: the table is there already.
\set ON_ERROR_STOP on
BEGIN;

\warn 1/3 create the table
CREATE TABLE orders (id bigint PRIMARY KEY, customer text NOT NULL, cents bigint NOT NULL);
SELECT pg_sleep(0.7) \g /dev/null
-- Each pg_sleep stands for the time that tables of a real size take.

\warn 2/3 fill it
INSERT INTO orders SELECT n, 'customer ' || n % 97, n * 7 % 5000 FROM generate_series(1, 10000) AS n;
SELECT pg_sleep(0.7) \g /dev/null

\warn 3/3 build an index
CREATE INDEX orders_by_customer ON orders (customer);
SELECT pg_sleep(0.7) \g /dev/null

COMMIT;
