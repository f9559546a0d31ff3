import { Elysia } from "elysia";
import { signedIn } from "../http/signed_in.ts";
import { entityCentrality, entityPageRank } from "./analytics.ts";
import { findDuplicates, findSemanticDuplicates } from "./duplicates.ts";
import { mergeEntities, mergeSemantically } from "./merge.ts";
import {
  ByMerge,
  Duplicates,
  DuplicatesQuery,
  MergeAnswer,
  MergeRequest,
  SemanticDuplicatesQuery,
  SemanticMergeRequest,
  Undone,
} from "./normalization_schema.ts";
import { pathBetween } from "./path.ts";
import { addRelation, deleteRelation, entityRelations } from "./relations.ts";
import {
  ByName,
  ByPath,
  ByRelation,
  Centrality,
  CentralityQuery,
  EntitiesQuery,
  EntityDetail,
  EntityMemories,
  EntityMemoriesQuery,
  EntityNetwork,
  EntityPage,
  EntityPath,
  NetworkQuery,
  NewRelation,
  PageRank,
  PageRankQuery,
  PathQuery,
  RelationPage,
  RelationsQuery,
  StoredRelation,
} from "./schema.ts";
import { entityMemories, entityNetwork, getEntity, listEntities } from "./service.ts";
import { undoMerge } from "./undo.ts";

const told = (summary: string) => ({ summary, tags: ["entities"] });

export const entityRoutes = new Elysia({ name: "entities", prefix: "/api/v1/entities", normalize: false })
  .use(signedIn)
  .get("", ({ caller, query }) => listEntities(caller, query), {
    query: EntitiesQuery,
    response: { 200: EntityPage },
    detail: told("List what memories are about, the most mentioned first"),
  })
  .get("/analytics/centrality", ({ caller, query }) => entityCentrality(caller, query), {
    query: CentralityQuery,
    response: { 200: Centrality },
    detail: told("What is mentioned together with most"),
  })
  .get("/analytics/pagerank", ({ caller, query }) => entityPageRank(caller, query), {
    query: PageRankQuery,
    response: { 200: PageRank },
    detail: told("PageRank over what is mentioned together"),
  })
  .get("/normalization/duplicates", ({ caller, query }) => findDuplicates(caller, query), {
    query: DuplicatesQuery,
    response: { 200: Duplicates },
    detail: told("Names that surely are one thing"),
  })
  .get("/normalization/semantic-duplicates", ({ caller, query }) => findSemanticDuplicates(caller, query), {
    query: SemanticDuplicatesQuery,
    response: { 200: Duplicates },
    detail: told("Names that may be one thing"),
  })
  .post("/normalization/merge", ({ caller, body }) => mergeEntities(caller, body), {
    body: MergeRequest,
    response: { 200: MergeAnswer },
    detail: told("Let names count for one of them; a dry run unless told otherwise"),
  })
  .post("/normalization/semantic-merge", ({ caller, body }) => mergeSemantically(caller, body), {
    body: SemanticMergeRequest,
    response: { 200: MergeAnswer },
    detail: told("The same, as sure as a threshold wants"),
  })
  .post("/normalization/undo/:merge_id", ({ caller, params }) => undoMerge(caller, params.merge_id), {
    params: ByMerge,
    response: { 200: Undone },
    detail: told("Take a merge back"),
  })
  .get("/path/:a/:b", ({ caller, params, query }) => pathBetween(caller, [params.a, params.b], query), {
    params: ByPath,
    query: PathQuery,
    response: { 200: EntityPath },
    detail: told("A shortest way from one entity to another, by memories and relations"),
  })
  .get("/:name", ({ caller, params }) => getEntity(caller, params.name), {
    params: ByName,
    response: { 200: EntityDetail },
    detail: told("Read an entity, by any spelling"),
  })
  .get("/:name/network", ({ caller, params, query }) => entityNetwork(caller, params.name, query), {
    params: ByName,
    query: NetworkQuery,
    response: { 200: EntityNetwork },
    detail: told("What is mentioned together with an entity"),
  })
  .get(
    "/:name/relations",
    ({ caller, params, query: { relation_types, ...query } }) =>
      entityRelations(caller, params.name, { ...query, relation_types: relation_types?.split(",") }),
    {
      params: ByName,
      query: RelationsQuery,
      response: { 200: RelationPage },
      detail: told("How an entity stands to others, newest first"),
    },
  )
  .post(
    "/:name/relations",
    async ({ caller, params, body, status }) => {
      const relation = await addRelation(caller, params.name, body);
      return status(relation.duplicate ? 200 : 201, relation);
    },
    {
      params: ByName,
      body: NewRelation,
      response: { 200: StoredRelation, 201: StoredRelation },
      detail: told("Say how an entity stands to another; 200 where that is said already"),
    },
  )
  .delete(
    "/:name/relations/:id",
    async ({ caller, params }) => {
      await deleteRelation(caller, params.name, params.id);
      return new Response(null, { status: 204 });
    },
    { params: ByRelation, detail: told("Take a relation back") },
  )
  .get("/:name/memories", ({ caller, params, query }) => entityMemories(caller, params.name, query), {
    params: ByName,
    query: EntityMemoriesQuery,
    response: { 200: EntityMemories },
    detail: told("The active memories that mention an entity, newest first"),
  });
