export const up = (knex) => knex("orders").insert([{ item: "a hammer" }, { item: "some nails" }]);

export const down = (knex) => knex("orders").whereIn("item", ["a hammer", "some nails"]).del();
