/** The page's paths. danube_pkg/edges/http/routes.py has the same, so that each can be opened, kept and sent to others. */
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
const Nowhere = lazy(() => import("./pages/nowhere"));

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
      <Route path="*" component={Nowhere} />
    </Router>
  );
}
