// Made by tests/golden/probe.py with scikit-learn: do not edit.
static const struct {
  const char *name;
  int n, m, dim, classes;
  double apart, l2, value;
  int correct;
} golden_linear[] = {
  {"overlapping", 600, 2000, 16, 5, 1.5, 1e-06, 0.172763400344, 1758},
  {"penalised", 600, 2000, 16, 5, 1.5, 0.01, 0.424906470093, 1775},
  {"two classes", 300, 1000, 8, 2, 1.0, 1e-06, 0.455817074417, 741},
  {"many classes", 3000, 2000, 40, 30, 1.0, 1e-06, 0.398548627328, 1470},
  {"separable", 1000, 2000, 64, 10, 1.0, 1e-06, 0.000615605355644, 1878},
};

static const struct {
  int n, m, dim, classes;
  double apart;
  int k, correct;
} golden_knn[] = {
  {600, 500, 16, 5, 1.5, 20, 250},
  {600, 700, 16, 5, 2.5, 1, 496},
  {1500, 300, 40, 30, 2.0, 7, 142},
};

static const struct {
  int n, a, b;
  double mix, nmi, ari, purity;
} golden_agreement[] = {
  {1000, 10, 10, 0.5, 0.295868888736897, 0.253313663114921, 0.554},
  {1000, 10, 3, 0.9, 0.484283206541451, 0.295397793680482, 0.935},
  {2000, 300, 16, 0.25, 0.285760284471964, 0.00530677986412115, 0.346},
  {500, 4, 4, 0.0, 0.00727500125982292, 4.64208741172589e-05, 0.288},
  {500, 7, 7, 1.0, 1, 1, 1},
  {200, 1, 6, 0.0, 0, 0, 0.21},
  {1, 1, 1, 0.0, 1, 1, 1},
};

static const struct {
  int n, m, dim, groups;
  double apart;
  int k, correct;
} golden_retrieval[] = {
  {600, 500, 16, 90, 1.5, 1, 20},
  {600, 500, 16, 90, 2.5, 10, 214},
  {1500, 300, 40, 250, 2.0, 5, 67},
};

static const struct {
  int n, m, dim, classes;
  double apart;
  int correct;
} golden_zero_shot[] = {
  {60, 500, 16, 5, 1.5, 219},
  {400, 700, 40, 30, 2.0, 347},
};
