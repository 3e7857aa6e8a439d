// Made by kmeans.py with scikit-learn 1.2.1. Do not edit.
static const struct golden {
  int n, dim, groups, k;
  double inertia; // mean over rows
} golden[] = {
    {2000, 16, 7, 8, 2.578820555},
    {3000, 32, 20, 50, 4.978759783},
    {1500, 5, 3, 12, 0.473864818},
    {4000, 24, 40, 40, 3.856275068},
};
