/** The page's routes. The server's table of routes has the same paths, so that each address can be opened directly. */
import { Route, Router } from "@solidjs/router";
import { lazy } from "solid-js";
import { Overview } from "./pages/overview";
import { Shell } from "./parts/shell";

const Pipeline = lazy(() => import("./pages/pipeline"));
const JobPage = lazy(() => import("./pages/job"));
const Queue = lazy(() => import("./pages/queue"));
const Configuration = lazy(() => import("./pages/configuration"));
const Secrets = lazy(() => import("./pages/secrets"));
const Audit = lazy(() => import("./pages/audit"));
const Account = lazy(() => import("./pages/account"));
const Login = lazy(() => import("./pages/login"));
const NotFound = lazy(() => import("./pages/not-found"));

export function App() {
  return (
    <Router root={Shell}>
      <Route path="/" component={Overview} />
      <Route path="/pipelines/:name" component={Pipeline} />
      <Route path="/jobs/:id" component={JobPage} />
      <Route path="/queue" component={Queue} />
      <Route path="/configuration" component={Configuration} />
      <Route path="/secrets" component={Secrets} />
      <Route path="/audit" component={Audit} />
      <Route path="/account" component={Account} />
      <Route path="/login" component={Login} />
      <Route path="*" component={NotFound} />
    </Router>
  );
}
