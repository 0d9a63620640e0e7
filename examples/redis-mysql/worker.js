import { setTimeout as sleep } from "node:timers/promises";
import knex from "knex";
import config from "./knexfile.js";

const db = knex(config);
let stopped = false;
process.on("SIGTERM", () => (stopped = true));

console.log("working");
while (!stopped) {
  const shipped = await db("orders").where({ status: "new" }).update({ status: "shipped" });
  if (shipped) console.log(`shipped: ${shipped}`);
  await sleep(500);
}
await db.destroy();
