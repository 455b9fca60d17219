/** Short names for the API's types. The shapes come from schema.d.ts, which `make web-types` writes from the OpenAPI document. */
import type { components } from "./schema";

type Schemas = components["schemas"];

export type Status = Schemas["JobSummary"]["status"];
/** A step may also be restored from the snapshot that an earlier job has kept. */
export type StepStatus = Schemas["StepView"]["status"];
export type Job = Schemas["JobSummary"];
/** A run in the strip; the message is only known from live events. */
export type Run = Schemas["RunView"] & { message?: string };
export type JobDetail = Schemas["JobDetail"];
export type JobPage = Schemas["JobPage"];
export type JobRetention = Schemas["JobRetentionView"];
export type Approval = Schemas["ApprovalView"];
export type Step = Schemas["StepView"];
export type Trigger = Schemas["TriggerView"];
export type Pipeline = Schemas["PipelineView"];
export type PipelinePage = Schemas["PipelinePage"];
export type PipelineDetail = Schemas["PipelineDetail"];
export type Param = Schemas["ParamView"];
export type Definition = Schemas["DefinitionView"];
export type UsedSecrets = Schemas["UsedSecrets"];
export type Statistics = Schemas["StatisticsView"];
export type Egress = Schemas["EgressView"];
export type Destination = Schemas["DestinationView"];
export type Delivery = Schemas["DeliveryView"];
export type DeliveryPage = Schemas["DeliveryPage"];
export type Outcome = Schemas["OutcomeView"];
export type Artifact = Schemas["ArtifactView"];
export type ReportedTest = Schemas["ReportedTestView"];
export type ReportedTests = Schemas["ReportedTests"];
export type JobNotes = Schemas["JobNotes"];
export type Coverage = Schemas["CoverageView"];
export type PushedImage = Schemas["PushedImageView"];
export type ArtifactList = Schemas["ArtifactList"];
export type CacheList = Schemas["CacheList"];
export type Provenance = Schemas["ProvenanceView"];
export type Explanation = Schemas["Explanation"];
export type Me = Schemas["MeView"];
export type Methods = Schemas["Methods"];
export type Session = Schemas["SessionView"];
export type Token = Schemas["TokenView"];
export type Secret = Schemas["SecretView"];
export type SecretStored = Schemas["SecretStored"];
export type AuditPage = Schemas["AuditPage"];
export type AuditCheck = Schemas["AuditCheckView"];
export type ConfigurationState = Schemas["ConfigurationView"];
export type System = Schemas["SystemView"];
export type HitPage = Schemas["HitPage"];
export type Hit = Schemas["HitView"];
export type LogLines = Schemas["LinesView"];
export type LogSections = Schemas["SectionList"];
export type LogSection = Schemas["SectionView"];
export type Problem = Schemas["Problem"];
