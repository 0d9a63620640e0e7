export const up = (knex) =>
  knex.schema.alterTable("orders", (table) => {
    table.enu("status", ["new", "shipped"]).notNullable().defaultTo("new").index();
  });

export const down = (knex) => knex.schema.alterTable("orders", (table) => table.dropColumn("status"));
