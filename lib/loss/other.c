// Duplicates by a second kind of id.
//
// Rows lie sorted by cell and by the first kind, so that what the first kind masks is a run of
// places (side.c). Rows that are equal by the second kind are scattered. Their places are listed
// once more, sorted by cell and second id:
//
//   order[from_i .. from_i + more_i - 1], rising = the places j with j's cell and id those of i
//
// A row of a tile finds its part of the run by bisection. The masks together then cost what they
// write, at most a store a score. Rejected: a list of masked places an anchor, which is an n x m
// matrix where all ids are equal; and one id for both kinds, by chains of equals: a caption such as
// "a photo" would make most of a data set one group.
#include "loss/contrast.h"

// Keys of a side's rows by place; ids below 0 become -1, which masks nothing.
static mcl_status make_keys(const mcli_contrast *k, const mcli_side *s, mcli_sort_key **out,
                            mcl_error *err) {
  mcl_context *c = k->context;
  mcli_sort_key *keys = MCLI_NEW(c, mcli_sort_key, s->n), *other = MCLI_NEW(c, mcli_sort_key, s->n);
  if (!keys || !other) {
    mcli_free(c, keys);
    mcli_free(c, other);
    return mcli_nomem(err, "the loss");
  }
  for (int64_t i = 0; i < s->n; i++) {
    int64_t id = s->other[s->keys[i].row % s->of_a_view];
    keys[i] = (mcli_sort_key){.cell = s->keys[i].cell, .id = id < 0 ? -1 : id, .row = (uint32_t)i};
  }
  *out = mcli_keys_sort(keys, other, s->n);
  mcli_free(c, *out == keys ? other : keys);
  return MCL_OK;
}

// Of each anchor the run of equal keys on the other side.
static void find_runs(mcli_side *x, const mcli_sort_key *keys, const mcli_side *y,
                      const mcli_sort_key *others) {
  int64_t from = 0, end = 0;
  for (int64_t i = 0; i < x->n; i++) {
    if (i == 0 || mcli_keys_compare(&keys[i - 1], &keys[i]) != 0) {
      for (from = end; from < y->n && mcli_keys_compare(&others[from], &keys[i]) < 0;) from++;
      for (end = from; end < y->n && mcli_keys_compare(&others[end], &keys[i]) == 0;) end++;
    }
    x->more_from[keys[i].row] = from;
    x->more[keys[i].row] = keys[i].id < 0 ? 0 : end - from;
  }
}

mcl_status mcli_contrast_find_more(const mcli_contrast *k, mcl_error *err) {
  mcl_context *c = k->context;
  mcli_side *x = k->x, *y = k->y;
  mcli_sort_key *keys = NULL, *others = NULL;
  x->more_from = MCLI_NEW(c, int64_t, x->n);
  x->more = MCLI_NEW(c, int64_t, x->n);
  y->order = MCLI_NEW(c, int64_t, y->n);
  mcl_status s = MCL_OK;
  if (!x->more_from || !x->more || !y->order) s = mcli_nomem(err, "the loss");
  if (s == MCL_OK) s = make_keys(k, x, &keys, err);
  if (s == MCL_OK && x != y) s = make_keys(k, y, &others, err);
  if (s == MCL_OK) {
    const mcli_sort_key *of_y = x == y ? keys : others;
    find_runs(x, keys, y, of_y);
    for (int64_t j = 0; j < y->n; j++) y->order[j] = of_y[j].row;
  }
  mcli_free(c, keys);
  mcli_free(c, others);
  return s;
}
