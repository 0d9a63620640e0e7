-- migrate:up
CREATE TABLE orders (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    item text NOT NULL
);
INSERT INTO orders (item) VALUES ('lamp'), ('chair'), ('table');

-- migrate:down
DROP TABLE orders;
