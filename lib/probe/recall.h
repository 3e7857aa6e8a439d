// Recall as other probes use it.
#ifndef MCL_PROBE_RECALL_H
#define MCL_PROBE_RECALL_H

#include "probe/probe.h"

typedef struct mcli_retrieval {
  const int64_t *query_group;   // [queries]
  const int64_t *gallery_group; // [gallery]
  const int32_t *label,
      *place; // [queries], [PROBE_LABELS]: in place of query_group, where there are labels
  int32_t k;
  double confidence;
} mcli_retrieval;

// Sources are opened, and stopped at the end. A query's group is the number of its own gallery row.
mcl_status mcli_retrieve_match(const mcli_retrieval *r, mcli_source *queries, mcli_source *gallery,
                               mcl_probe_result *out, mcl_error *err);

#endif
