// An Express application as its documentation shows it. It is exported instead of listening.
import express from "express";

const app = express();
app.get("/", (request, response) => {
  response.send(`Express says hello to ${request.ip} from process ${process.pid}\n`);
});
export default app;
