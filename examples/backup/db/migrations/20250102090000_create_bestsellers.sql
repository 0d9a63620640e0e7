-- migrate:up
CREATE MATERIALIZED VIEW bestsellers AS
    SELECT product, sum(quantity) AS sold FROM sales GROUP BY product;

-- migrate:down
DROP MATERIALIZED VIEW bestsellers;
