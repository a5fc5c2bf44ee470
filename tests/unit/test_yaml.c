/* configs/yaml.h: trees with lines from texts, and every refusal. */
#include "base/error.h"
#include "base/file.h"
#include "configs/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static lk_yaml *parse(const char *text)
{
    lk_yaml *document;
    if (lk_yaml_parse(text, strlen(text), "a.yaml", &document) != LK_OK)
        fail_msg("%s", lk_error_text());
    return document;
}

static void refused(const char *text, const char *sentence)
{
    lk_yaml *document = (lk_yaml *)1;
    assert_int_equal(lk_yaml_parse(text, strlen(text), "a.yaml", &document), LK_BAD_CONFIG);
    assert_null(document);
    assert_string_equal(lk_error_text(), sentence);
}

static void tree_with_lines(void **state)
{
    (void)state;
    lk_yaml *document = parse("# comment\n"
                              "run: {dir: runs/a, seed: '1'}\n"
                              "data:\n"
                              "  train:\n"
                              "    - one\n"
                              "    - \"two\"\n"
                              "  empty:\n"
                              "long: >\n"
                              "  folded\n"
                              "  text\n");
    assert_string_equal(lk_yaml_origin(document), "a.yaml");
    const lk_yaml_node *root = lk_yaml_root(document);
    assert_int_equal(root->kind, LK_YAML_MAP);
    assert_int_equal(root->count, 3);

    const lk_yaml_node *run = lk_yaml_find(root, "run");
    assert_int_equal(run->line, 2);
    assert_string_equal(run->key, "run");
    assert_string_equal(lk_yaml_find(run, "dir")->text, "runs/a");
    assert_false(lk_yaml_find(run, "dir")->quoted);
    assert_true(lk_yaml_find(run, "seed")->quoted);

    const lk_yaml_node *data = lk_yaml_find(root, "data");
    assert_int_equal(data->line, 3);
    const lk_yaml_node *train = lk_yaml_find(data, "train");
    assert_int_equal(train->kind, LK_YAML_LIST);
    assert_int_equal(train->line, 4);
    assert_int_equal(train->count, 2);
    assert_int_equal(train->items[1]->line, 6);
    assert_null(train->items[1]->key);
    assert_string_equal(train->items[1]->text, "two");
    assert_string_equal(lk_yaml_find(data, "empty")->text, "");
    assert_false(lk_yaml_find(data, "empty")->quoted);

    assert_string_equal(lk_yaml_find(root, "long")->text, "folded text\n");
    assert_null(lk_yaml_find(root, "absent"));
    assert_null(lk_yaml_find(train, "one"));
    lk_yaml_free(document);
}

static void empty_texts_are_empty_maps(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "# nothing\n", "---\n", "---\n# nothing\n...\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        lk_yaml *document = parse(texts[i]);
        assert_int_equal(lk_yaml_root(document)->kind, LK_YAML_MAP);
        assert_int_equal(lk_yaml_root(document)->count, 0);
        lk_yaml_free(document);
    }
}

static void core_tags_are_allowed(void **state)
{
    (void)state;
    lk_yaml *document = parse("a: !!str 1\nb: !!int \"2\"\nc: !!seq [x]\nd: !!map {e: f}\n");
    assert_true(lk_yaml_find(lk_yaml_root(document), "a")->quoted);
    assert_false(lk_yaml_find(lk_yaml_root(document), "b")->quoted);
    lk_yaml_free(document);
}

static void refusals(void **state)
{
    (void)state;
    refused("a: 1\nb: &x 2\n", "a.yaml:2: anchor '&x': anchors are not supported here; take it out");
    refused("a: [1, *x]\n", "a.yaml:1: alias '*x': aliases are not supported here; write the value out");
    refused("*x : 1\n", "a.yaml:1: alias '*x': aliases are not supported here; write the value out");
    refused("a: !mine 1\n", "a.yaml:1: tag '!mine' is not supported here; take it out");
    refused("a: !!seq 1\n", "a.yaml:1: tag 'tag:yaml.org,2002:seq' is not supported here; take it out");
    refused("a: 1\nb: 2\nc: 3\nb: 4\n", "a.yaml:4: key 'b' stands here again, first on line 2; keep one");
    refused("a: 1\n---\nb: 2\n", "a.yaml:2: a second document starts here; keep one document a file");
    refused("{a: 1}: 2\n", "a.yaml:1: a list or map stands where a key is expected; write 'key: value'");
    refused("a: \"x\\0y\"\n", "a.yaml:1: a zero byte inside a string; take it out");
    refused("a: 1\n b: 2\n", "a.yaml:2: not YAML: mapping values are not allowed in this context");
    refused("a: [1, 2\n", "a.yaml:2: not YAML: while parsing a flow sequence, did not find expected ',' or ']'");
    refused("a: \xff\n", "a.yaml: not YAML: invalid leading UTF-8 octet at byte 3");
}

/* libyaml has a sentence for each of these, and none that helps. */
static void tabs_cannot_indent(void **state)
{
    (void)state;
    refused("run:\n\tdir: x\n", "a.yaml:2: a tab cannot indent in YAML; write spaces");
    refused("run:\n  dir: x\n\tseed: 1\n", "a.yaml:3: a tab cannot indent in YAML; write spaces");
    refused("run:\n  dir: x\n  \tseed: 1\n", "a.yaml:3: a tab cannot indent in YAML; write spaces");
    refused("a: 1\n\tb: 2\n", "a.yaml:2: a tab cannot indent in YAML; write spaces");
    refused("\ta: 1\n", "a.yaml:1: a tab cannot indent in YAML; write spaces");
    refused("a:\n  - 1\n\t- 2\n", "a.yaml:3: a tab cannot indent in YAML; write spaces");
    refused("a: |\n\ttext\n", "a.yaml:2: a tab cannot indent in YAML; write spaces");
    refused("a: [1,\t2\n", "a.yaml:2: not YAML: while parsing a flow sequence, did not find expected ',' or ']'");
    lk_yaml_free(parse("a:\t1\t# one\nb: [1,\n\t2]\n"));
}

static void limits(void **state)
{
    (void)state;
    char deep[200] = "";
    for (int i = 0; i < 32; i++)
        strcat(deep, "[");
    for (int i = 0; i < 32; i++)
        strcat(deep, "]");
    lk_yaml_free(parse(deep));
    memset(deep, '[', 33);
    deep[33] = '\0';
    refused(deep, "a.yaml:1: nested more than 32 deep");

    size_t room = 400000;
    char *many = malloc(room), *end = many;
    for (int i = 0; i < 100000; i++)
        end += snprintf(end, room - (size_t)(end - many), "- \n");
    refused(many, "a.yaml:100000: more than 100000 values; split the file");
    many[3 * 99999] = '\0';
    lk_yaml_free(parse(many));
    free(many);
}

static void files(void **state)
{
    (void)state;
    lk_yaml *document;
    assert_int_equal(lk_yaml_load("missing.yaml", &document), LK_BAD_CONFIG);
    assert_string_equal(lk_error_text(), "missing.yaml: cannot open: No such file or directory");
    assert_int_equal(lk_write_file("b.yaml", "a: b\n", 5), LK_OK);
    assert_int_equal(lk_yaml_load("b.yaml", &document), LK_OK);
    assert_string_equal(lk_yaml_find(lk_yaml_root(document), "a")->text, "b");
    lk_yaml_free(document);
    lk_yaml_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tree_with_lines), cmocka_unit_test(empty_texts_are_empty_maps), cmocka_unit_test(core_tags_are_allowed),
        cmocka_unit_test(refusals),        cmocka_unit_test(tabs_cannot_indent),         cmocka_unit_test(limits),
        cmocka_unit_test(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
