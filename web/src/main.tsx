/** The entry point. */
import { render } from "solid-js/web";
import { App } from "./app";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/pages.css";

const root = document.getElementById("app");
if (root) render(() => <App />, root);
