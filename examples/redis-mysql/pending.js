// Exits 0 if nothing is pending. "knex migrate:status" says that in words only, and creates tables in order to say it.
import knex from "knex";
import config from "./knexfile.js";

const db = knex(config);
const ahead = await db.migrate.status(); // applied minus available; fails while there is no table of migrations
await db.destroy();
process.exit(ahead < 0 ? 1 : 0);
