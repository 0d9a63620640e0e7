CREATE TABLE sensor (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
);
INSERT INTO sensor (id, name) VALUES (1, 'roof'), (2, 'cellar');
ALTER TABLE reading ADD COLUMN sensor_id INTEGER REFERENCES sensor;
