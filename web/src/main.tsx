/** Where the page begins. */
import { render } from "solid-js/web";
import { App } from "./app";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/pages.css";

const place = document.getElementById("app");
if (place) render(() => <App />, place);
