/* Counting one numeric column into the cells of a grid: the same integers as monitor/core/kernels.py, in one
   pass. Blocks stay in the processor's first cache. */

#include "arrow.h"
#include "driftd.h"

enum { BLOCK = 1024, LANES = 4, VECTORS = 4, STRIDE = LANES * VECTORS };
enum { ONE_STEP = 1 << 14, SEARCH = 1 << 15, PLACE = ONE_STEP - 1 };
enum { EXTRA_NULL, EXTRA_NAN, EXTRA_NEG_INF, EXTRA_POS_INF, EXTRA_INVALID, EXTRA_LIMBS };

static const double ROUND = 6755399441055744.0; /* 1.5 * 2**52: added and taken off it rounds half to even */

/* A grid as monitor/core/lookup.py's table. base: per part of the range the place of its values; ONE_STEP is
   set where the part holds one threshold (then step says which), SEARCH where it holds more. */
struct table {
  const uint16_t *base;
  const double *step;
  const double *thresholds;
  int64_t threshold_count;
  double low, high, scale;
  double per_unit, centre_units; /* 1 / unit, and the centre in units */
  double least, most;            /* between them moments are sums of small integers */
  double floor, ceiling;         /* beyond them moments saturate */
  double square_scale;
};

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

struct sums {
  __int128 first, second;
  double low, high;
};

static inline bool bit_at(const uint8_t *bits, int64_t at) { return bits[at >> 3] >> (at & 7) & 1; }

/* Put together what is not null; bit `from` of valid belongs to values[0]. Returns how many there are. */
static int64_t present_of(const double *values, const uint8_t *valid, int64_t from, int64_t count,
                          double *present) {
  int64_t kept = 0;
  for (int64_t i = 0; i < count;) {
    if (((from + i) & 7) == 0 && i + 8 <= count && valid[(from + i) >> 3] == 0xFF) {
      memcpy(present + kept, values + i, 8 * sizeof *values);
      kept += 8;
      i += 8;
    } else {
      present[kept] = values[i];
      kept += bit_at(valid, from + i);
      i++;
    }
  }
  return kept;
}

WIDE static bool all_finite(const double *values, int64_t count) {
  int64_t odd = 0;
  for (int64_t i = 0; i < count; i++)
    odd += !(values[i] - values[i] == 0.0);
  return odd == 0;
}

/* Put the finite values together, count the others. Returns how many are finite. */
static int64_t finite_of(const double *values, int64_t count, double *finite, int64_t *extra) {
  int64_t kept = 0;
  for (int64_t i = 0; i < count; i++) {
    const double value = values[i];
    if (value - value == 0.0)
      finite[kept++] = value;
    else
      extra[value != value ? EXTRA_NAN : value < 0.0 ? EXTRA_NEG_INF : EXTRA_POS_INF]++;
  }
  return kept;
}

WIDE static void extremes(const double *finite, int64_t count, struct sums *sums, double *block_low,
                          double *block_high) {
  const double any = finite[0];
  double low[LANES] = {any, any, any, any}, high[LANES] = {any, any, any, any};
  int64_t i = 0;
  for (; i + LANES <= count; i += LANES)
    for (int lane = 0; lane < LANES; lane++) {
      const double value = finite[i + lane];
      low[lane] = value < low[lane] ? value : low[lane];
      high[lane] = value > high[lane] ? value : high[lane];
    }
  for (; i < count; i++) {
    low[0] = finite[i] < low[0] ? finite[i] : low[0];
    high[0] = finite[i] > high[0] ? finite[i] : high[0];
  }
  for (int lane = 1; lane < LANES; lane++) {
    low[0] = low[lane] < low[0] ? low[lane] : low[0];
    high[0] = high[lane] > high[0] ? high[lane] : high[0];
  }
  *block_low = low[0];
  *block_high = high[0];
  sums->low = low[0] < sums->low ? low[0] : sums->low;
  sums->high = high[0] > sums->high ? high[0] : sums->high;
}

/* Sums of a block's integers stay below 2**53: exact in any order. */
WIDE static void near_moments(const struct table *table, const double *finite, int64_t count,
                              struct sums *sums) {
  const double per_unit = table->per_unit, centre = table->centre_units, scale = table->square_scale;
  lanes first[VECTORS] = {0}, second[VECTORS] = {0};
  int64_t i = 0;
  for (; i + STRIDE <= count; i += STRIDE)
    for (int v = 0; v < VECTORS; v++) {
      lanes value;
      memcpy(&value, finite + i + v * LANES, sizeof value);
      const lanes whole = (value * per_unit - centre + ROUND) - ROUND;
      const lanes coarse = (whole * scale + ROUND) - ROUND;
      first[v] += whole;
      second[v] += coarse * coarse;
    }
  for (; i < count; i++) {
    const double whole = (finite[i] * per_unit - centre + ROUND) - ROUND;
    const double coarse = (whole * scale + ROUND) - ROUND;
    first[0][0] += whole;
    second[0][0] += coarse * coarse;
  }
  for (int v = 0; v < VECTORS; v++)
    for (int lane = 0; lane < LANES; lane++) {
      sums->first += (int64_t)first[v][lane];
      sums->second += (int64_t)second[v][lane];
    }
}

static void far_moments(const struct table *table, const double *finite, int64_t count, struct sums *sums) {
  for (int64_t i = 0; i < count; i++) {
    double value = finite[i];
    value = value < table->floor ? table->floor : value > table->ceiling ? table->ceiling : value;
    const double whole = rint(value * table->per_unit - table->centre_units);
    const int64_t coarse = (int64_t)rint(whole * table->square_scale);
    sums->first += (int64_t)whole;
    sums->second += (__int128)coarse * coarse;
  }
}

WIDE static void parts_of(const struct table *table, const double *finite, int64_t count, int32_t *parts) {
  const double low = table->low, high = table->high, scale = table->scale;
  for (int64_t i = 0; i < count; i++) {
    double value = finite[i];
    value = value < low ? low : value;
    value = value > high ? high : value;
    parts[i] = (int32_t)((value - low) * scale);
  }
}

static int64_t thresholds_below(const struct table *table, double value) {
  int64_t from = 0, upto = table->threshold_count;
  while (from < upto) {
    const int64_t middle = from + (upto - from) / 2;
    if (table->thresholds[middle] < value)
      from = middle + 1;
    else
      upto = middle;
  }
  return from;
}

static void count_places(const struct table *table, const double *finite, const int32_t *parts, int64_t count,
                         int64_t *cells) {
  for (int64_t i = 0; i < count; i++) {
    const uint16_t base = table->base[parts[i]];
    int64_t place = base & PLACE;
    if (base > PLACE)
      place = base & SEARCH ? thresholds_below(table, finite[i])
                            : place + (finite[i] > table->step[parts[i]]);
    cells[place]++;
  }
}

static void count_block(const struct table *table, const double *values, int64_t count, int64_t *cells,
                        int64_t *extra, struct sums *sums) {
  double put[BLOCK], low, high;
  int32_t parts[BLOCK];
  if (!all_finite(values, count)) {
    count = finite_of(values, count, put, extra);
    values = put;
  }
  if (count == 0)
    return;
  extremes(values, count, sums, &low, &high);
  if (table->least <= low && high <= table->most)
    near_moments(table, values, count, sums);
  else
    far_moments(table, values, count, sums);
  parts_of(table, values, count, parts);
  count_places(table, values, parts, count, cells);
}

static void count_group(const struct table *table, const struct ArrowArray *array, int64_t start, int64_t stop,
                        int64_t *cells, int64_t *extra, struct sums *sums) {
  const uint8_t *valid = array->null_count == 0 ? NULL : array->buffers[0];
  const double *values = (const double *)array->buffers[1] + array->offset;
  double present[BLOCK];
  for (int64_t at = start; at < stop; at += BLOCK) {
    const int64_t count = stop - at < BLOCK ? stop - at : BLOCK;
    if (valid == NULL) {
      count_block(table, values + at, count, cells, extra, sums);
    } else {
      const int64_t kept = present_of(values + at, valid, array->offset + at, count, present);
      extra[EXTRA_NULL] += count - kept;
      count_block(table, present, kept, cells, extra, sums);
    }
  }
}

static void put_sums(const struct sums *sums, int64_t *limbs, double *low, double *high) {
  limbs[0] = (int64_t)(sums->first & UINT32_MAX);
  limbs[1] = (int64_t)(sums->first >> 32);
  limbs[2] = (int64_t)(sums->second & UINT32_MAX);
  limbs[3] = (int64_t)(sums->second >> 32);
  *low = sums->low + 0.0;
  *high = sums->high + 0.0;
}

/* Count the doubles of a stream into cells [groups, width]; group g holds rows stops[g - 1] up to stops[g],
   the first one those from 0, and none is empty. low, high [groups]: the finite extremes, infinities where there
   are none. cells must be zero. Returns false where the stream gives no doubles, or ends before the last group. */
EXPORT bool driftd_numeric_cells(const struct table *table, struct ArrowArrayStream *column,
                                 const int64_t *stops, int64_t groups, int64_t *cells, int64_t width,
                                 double *low, double *high);

bool driftd_numeric_cells(const struct table *table, struct ArrowArrayStream *column, const int64_t *stops,
                          int64_t groups, int64_t *cells, int64_t width, double *low, double *high) {
  const struct sums none = {0, 0, INFINITY, -INFINITY};
  struct sums sums = none;
  struct ArrowArray array;
  int64_t g = 0, row = 0;
  if (!gives(column, "g"))
    return false;
  while (take_next(column, &array)) {
    for (int64_t at = 0; at < array.length && g < groups;) {
      const int64_t left = array.length - at, wanted = stops[g] - row, count = left < wanted ? left : wanted;
      int64_t *own = cells + g * width, *extra = own + table->threshold_count + 1;
      count_group(table, &array, at, at + count, own, extra, &sums);
      at += count;
      row += count;
      if (row == stops[g]) {
        put_sums(&sums, extra + EXTRA_LIMBS, &low[g], &high[g]);
        sums = none;
        g++;
      }
    }
    array.release(&array);
  }
  return g == groups;
}
