-- migrate:up transaction:false
CREATE INDEX CONCURRENTLY open_orders ON orders (id) WHERE shipped_at IS NULL;

-- migrate:down
DROP INDEX open_orders;
