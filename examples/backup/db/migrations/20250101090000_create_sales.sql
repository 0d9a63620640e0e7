-- migrate:up
CREATE TABLE sales (
    id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    product text NOT NULL,
    quantity int NOT NULL
);

-- migrate:down
DROP TABLE sales;
