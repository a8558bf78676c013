// Each request keeps a processor busy for a while, as a page that is rendered does.
const WORK_MS = 25;

export default (request, response) => {
  const end = performance.now() + WORK_MS;
  while (performance.now() < end);
  response.setHeader("connection", "close");
  response.end(`answered by process ${process.pid}\n`);
};
