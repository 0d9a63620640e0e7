INSERT INTO reading (celsius, sensor_id) VALUES (4.5, 1), (12.0, 2);
