import { db } from "./db";

let stopped = false;
process.on("SIGTERM", () => (stopped = true));

console.log("working");
while (!stopped) {
  const done = await db.task.updateManyAndReturn({ where: { doneAt: null }, data: { doneAt: new Date() } });
  for (const { title } of done) console.log(`done: ${title}`);
  await Bun.sleep(500);
}
await db.$disconnect();
