/* Whose turn it is: tables of who waits, as "namespace/review: how many images", and the order in
 * which they are taken. */
#include "webhook/facts/turns.h"

#include "tests/unit/check.h"

enum { MOST = 64 };

struct waiting {
    const char *namespace_, *name; /* of the namespace: "CALLER/NAMESPACE", or without the caller */
    int images;
    bool dry_run;
};

static const struct {
    const char *name;
    struct waiting reviews[6];
    const char *order;
} rows[] = {
    {"nobody", {{0}}, ""},
    {"one review, in the order of its images", {{"a", "A", 3, false}}, "A1 A2 A3 "},
    {"two reviews of a namespace", {{"a", "A", 3, false}, {"a", "B", 2, false}}, "A1 B1 A2 B2 A3 "},
    {"two namespaces", {{"a", "A", 3, false}, {"b", "B", 1, false}}, "A1 B1 A2 A3 "},
    {"many reviews of one namespace count as one",
     {{"a", "A", 2, false}, {"a", "B", 2, false}, {"a", "C", 2, false}, {"b", "D", 3, false}},
     "A1 D1 B1 D2 C1 D3 A2 B2 C2 "},
    {"dry runs are last",
     {{"a", "A", 2, true}, {"b", "B", 2, false}, {"c", "C", 1, true}, {"d", "D", 1, false}},
     "B1 D1 B2 A1 C1 A2 "},
    {"a caller with many namespaces has one share",
     {{"x/a", "A", 2, false},
      {"x/b", "B", 2, false},
      {"x/c", "C", 1, false},
      {"y/a", "D", 3, false}},
     "A1 D1 B1 D2 C1 D3 A2 B2 "},
    {"of one namespace, too", {{"a", "A", 2, true}, {"a", "B", 1, false}}, "B1 A1 A2 "},
};

struct image {
    struct turn turn;
    char name[16];
};

struct queue {
    struct turns turns;
    struct turn_review reviews[6];
    struct image images[MOST];
    size_t count;
};

static void fill(struct queue *queue, const struct waiting *waiting)
{
    for (size_t i = 0; i < 6 && waiting[i].name; i++) {
        queue->reviews[i].namespace_ = slice_from(waiting[i].namespace_);
        const struct slice whose = slice_from(waiting[i].namespace_);
        size_t slash = slice_find(whose, '/');
        queue->reviews[i].caller = slash < whose.len ? slice_head(whose, slash) : SLICE("");
        queue->reviews[i].last_of_all = waiting[i].dry_run;
        for (int n = 1; n <= waiting[i].images; n++) {
            struct image *image = &queue->images[queue->count++];
            snprintf(image->name, sizeof(image->name), "%s%d", waiting[i].name, n);
            turns_add(&queue->turns, &queue->reviews[i], &image->turn);
        }
    }
}

static void check_order(const char *name, struct queue *queue, const char *expected)
{
    struct buffer order = {0};
    for (struct turn *turn; (turn = turns_take(&queue->turns));) {
        assert_null(turn->review);
        buffer_append_format(&order, "%s ", ((struct image *)turn)->name);
    }
    check_text(name, "the order", buffer_slice(&order), expected);
    for (size_t i = 0; i < 6; i++)
        assert_null(queue->reviews[i].group);
    buffer_done(&order);
}

static void test_order(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct queue queue = {0};
        fill(&queue, rows[i].reviews);
        check_order(rows[i].name, &queue, rows[i].order);
    }
}

static void test_who_comes_later_is_not_last(void **state)
{
    (void)state;
    struct queue queue = {0};
    const struct waiting many[6] = {{"a", "A", 9, false}};
    fill(&queue, many);
    for (int i = 0; i < 3; i++)
        assert_non_null(turns_take(&queue.turns));
    queue.reviews[1].namespace_ = SLICE("b");
    struct image *late = &queue.images[queue.count++];
    snprintf(late->name, sizeof(late->name), "B1");
    turns_add(&queue.turns, &queue.reviews[1], &late->turn);
    check_order("late", &queue, "A4 B1 A5 A6 A7 A8 A9 ");
}

static void test_remove(void **state)
{
    (void)state;
    struct queue queue = {0};
    const struct waiting waiting[6] = {
        {"a", "A", 3, false}, {"a", "B", 1, false}, {"b", "C", 2, false}};
    fill(&queue, waiting);
    turns_remove(&queue.turns, &queue.images[1].turn); /* A2, from the middle */
    turns_remove(&queue.turns, &queue.images[1].turn); /* it does not wait any more */
    turns_remove(&queue.turns, &queue.images[3].turn); /* B1, the only one of its review */
    check_order("some", &queue, "A1 C1 A3 C2 ");

    queue = (struct queue){0};
    fill(&queue, waiting);
    for (size_t i = 0; i < queue.count; i++)
        turns_remove(&queue.turns, &queue.images[i].turn);
    check_order("all", &queue, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_who_comes_later_is_not_last),
        cmocka_unit_test(test_remove),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
