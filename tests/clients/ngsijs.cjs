// A day's work with ngsijs: node ngsijs.cjs BROKER
// Prints what the library made of each answer, as one line of JSON.
const http = require("http");
const NGSI = require("ngsijs");

const broker = new NGSI.Connection(process.argv[2]).ld;
const tenant = "buses";
const context = "https://uri.etsi.org/ngsi-ld/v1/ngsi-ld-core-context-v1.8.jsonld";
const id = (number) => `urn:ngsi-ld:Bus:${number}`;
const bus = (number) => ({
  id: id(number), type: "Bus",
  name: { type: "Property", value: `Bus ${number}` },
  speed: { type: "Property", value: 10 * number, unitCode: "KMH" },
  line: { type: "Relationship", object: "urn:ngsi-ld:Line:1" },
  location: { type: "GeoProperty", value: { type: "Point", coordinates: [10 + number / 10, 56] } },
  "@context": context,
});
const refused = (work) => work.then(() => "done", (error) => error.name);

(async () => {
  const said = {};
  let tell;
  const notified = new Promise((done) => { tell = done; });
  const receiver = http.createServer((request, answer) => {
    let text = "";
    request.on("data", (piece) => { text += piece; });
    request.on("end", () => { answer.writeHead(204).end(); tell(JSON.parse(text)); });
  });
  await new Promise((done) => receiver.listen(0, "127.0.0.1", done));

  said.created = (await broker.createEntity(bus(1), { tenant })).location;
  said.twice = await refused(broker.createEntity(bus(1), { tenant }));
  for (const number of [2, 3, 4]) await broker.createEntity(bus(number), { tenant });
  said.read = (await broker.getEntity({ id: id(1), tenant, keyValues: true })).entity;
  const fast = await broker.queryEntities({ type: "Bus", q: "speed>15", count: true, limit: 2, tenant });
  said.fast = [fast.count, fast.results.map((one) => one.id)];
  const near = await broker.queryEntities({ type: "Bus", georel: "near;maxDistance==8000", geometry: "Point",
    coordinates: "[10.1,56]", tenant, keyValues: true });
  said.near = near.results.map((one) => one.name);
  said.absent = await refused(broker.getEntity({ id: id(9), tenant }));
  said.wrong = await refused(broker.queryEntities({ type: "Bus", q: "speed>", tenant }));

  said.subscribed = (await broker.createSubscription({
    type: "Subscription", entities: [{ type: "Bus" }], watchedAttributes: ["speed"], q: "speed>50",
    notification: { attributes: ["speed"], format: "keyValues",
      endpoint: { uri: `http://127.0.0.1:${receiver.address().port}/`, accept: "application/json" } },
  }, { tenant })).location;
  // It sends a merge patch with POST, which is for PATCH (6.3.4).
  said.appended = await refused(broker.appendEntityAttributes(
    { id: id(1), seats: { type: "Property", value: 40 } }, { tenant }));
  await broker.updateEntityAttribute({ type: "Property", value: 60 }, { id: id(1), attribute: "speed", tenant });
  const told = await notified;
  said.notified = told.data.map((one) => [one.id, one.speed]);
  const subscription = told.subscriptionId;
  await broker.updateSubscription({ id: subscription, q: "speed>90" }, { tenant });
  said.listed = (await broker.listSubscriptions({ tenant })).results.map((one) => [one.id === subscription, one.q]);
  await broker.deleteSubscription({ id: subscription, tenant });
  said.ended = await refused(broker.getSubscription({ id: subscription, tenant }));
  await broker.updateEntityAttributes({ id: id(1), speed: { type: "Property", value: 70 } }, { tenant });
  await broker.deleteEntityAttribute({ id: id(1), attribute: "line", tenant });
  said.changed = (await broker.getEntity({ id: id(1), tenant, keyValues: true })).entity;
  said.types = (await broker.listTypes({ tenant })).results.typeList;
  said.type = (await broker.getType({ type: "Bus", tenant })).type.entityCount;

  const reading = (value, minute) => ({ type: "Property", value, observedAt: `2026-01-01T12:0${minute}:00Z` });
  const old = { id: id(8), type: "Bus", speed: [reading(1, 1), reading(2, 2)], "@context": context };
  said.begun = (await broker.createTemporalEntity(old, { tenant })).created;
  await broker.addTemporalEntityAttributes({ id: id(8), speed: [reading(3, 3)] }, { tenant });
  const past = await broker.queryTemporalEntities({ type: "Bus", id: id(8), timerel: "after",
    timeAt: "2026-01-01T12:01:30Z", attrs: "speed", tenant, temporalValues: true });
  said.past = past.results.map((one) => one.speed.values.map(([value]) => value));
  await broker.deleteTemporalEntity({ id: id(8), tenant });

  await broker.deleteEntity({ id: id(1), tenant });
  said.left = (await broker.queryEntities({ type: "Bus", tenant })).results.length;
  process.stdout.write(JSON.stringify(said) + "\n", () => process.exit(0));
})().catch((error) => {
  process.stderr.write(`${error.stack ?? JSON.stringify(error)} ${JSON.stringify(error)}\n`, () => process.exit(1));
});
