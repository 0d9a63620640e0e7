export const up = (knex) =>
  knex.schema.createTable("orders", (table) => {
    table.increments();
    table.string("item").notNullable();
  });

export const down = (knex) => knex.schema.dropTable("orders");
