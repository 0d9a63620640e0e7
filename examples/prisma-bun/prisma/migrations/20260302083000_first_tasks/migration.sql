INSERT INTO "task" ("title") VALUES ('buy milk'), ('water the plants');
