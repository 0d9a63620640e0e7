-- migrate:up
INSERT INTO sales (product, quantity) VALUES ('tea', 40), ('coffee', 70), ('tea', 20);

-- migrate:down
DELETE FROM sales;
