#include "schedule/primitive_table.h"

#include "base/check.h"

#include <fmt/format.h>

#include <memory>

namespace tessera {
namespace {

constexpr std::string_view gpu = "a CUDA target";

#define TESSERA_TILE_FIELD(name, ...) \
    { .path = "stages.*.tile." name, .forms = form_integer, __VA_ARGS__ }

// Parents stand before their fields; fields print in this order.
const PrimitiveRow rows[] = {
    {.path = "", .forms = form_record, .doc = "a schedule, or deltas of one (null unsets a field)"},
    {.path = "tessera_schedule", .forms = form_integer, .doc = "the version of the format", .high = 1, .required = true},

    {.path = "stages", .forms = form_map, .doc = "stage -> record; a stage that is not listed is inline"},
    {.path = "stages.*", .forms = form_record, .doc = "one stage"},
    {.path = "stages.*.copy_of",
     .forms = form_name,
     .doc = "f reads X -> c = X; f reads c: packs, stages, loads fragments, writes results"},
    {.path = "stages.*.clone_of",
     .forms = form_name,
     .doc = "f, g read X -> f reads X, g reads an equal X': computed again for `for`"},
    {.path = "stages.*.partial_of", .forms = form_name, .doc = "s = sum(k) -> p(k/256) = sum(k in block); s = sum(k/256) p"},
    {.path = "stages.*.for", .forms = form_list, .doc = "the uses that read a copy or clone"},
    {.path = "stages.*.for[]", .forms = form_name, .doc = "a stage, or one access of it: \"C.sum#1\""},
    {.path = "stages.*.keep", .forms = form_list, .doc = "what of the reduced dims stays free in a partial"},
    {.path = "stages.*.keep[]",
     .forms = form_layout,
     .doc = "a reduced dim or its blocks: \"k/256\"",
     .range_code = E0509_derived_stage},

    {.path = "stages.*.compute",
     .forms = form_record | form_word,
     .doc = "where the stage is produced",
     .words = compute_words,
     .whole = true},
    {.path = "stages.*.compute.at",
     .forms = form_name,
     .doc = "for b: use p -> for b: { p; use p }: the stage whose loop encloses all uses",
     .required = true},
    {.path = "stages.*.compute.loop",
     .forms = form_name,
     .doc = "a loop of that stage, by name, or by dim where the dim has one loop",
     .required = true},
    {.path = "stages.*.fuse_with", .forms = form_record, .doc = "for y: a; for y: b -> for y: { a; b }", .whole = true},
    {.path = "stages.*.fuse_with.stage", .forms = form_name, .doc = "the stage whose loops are shared", .required = true},
    {.path = "stages.*.fuse_with.loop", .forms = form_name, .doc = "the innermost loop that is shared", .required = true},
    {.path = "stages.*.fuse_with.align",
     .forms = form_word,
     .doc = "which iterations meet",
     .default_json = "\"none\"",
     .words = fuse_align_words},
    {.path = "stages.*.fuse_with.online",
     .forms = form_boolean,
     .doc = "the maximum of rows runs in the loop of the sums that read it, which are rescaled",
     .default_json = "false",
     .cpu_alternative = "computing the maximum first"},
    {.path = "stages.*.kernel",
     .forms = form_name,
     .doc = "groups root stages into one kernel",
     .cuda_alternative = "computing producers at the block loops of their consumer"},

    {.path = "stages.*.loops",
     .forms = form_list,
     .doc = "the nest, outermost first; dims that are not listed are serial, outermost"},
    {.path = "stages.*.loops[]", .forms = form_record, .doc = "one loop"},
    {.path = "stages.*.loops[].name", .forms = form_name, .doc = "what references call it; without one: its dim"},
    {.path = "stages.*.loops[].dim", .forms = form_name, .doc = "the dim that it peels a tile off", .required = true},
    {.path = "stages.*.loops[].tile",
     .forms = form_integer | form_record,
     .doc = "for m -> for mb in [0, M/32): for m in the block: S",
     .range_code = E0503_tile},
    {.path = "stages.*.loops[].tile.parts",
     .forms = form_integer,
     .doc = "tile = ceil(extent / parts), rounded up to the next inner tile; a dim's first loop",
     .required = true,
     .range_code = E0503_tile},
    {.path = "stages.*.loops[].as",
     .forms = form_word,
     .doc = "what runs its iterations",
     .default_json = "\"serial\"",
     .words = loop_kind_words},
    {.path = "stages.*.loops[].tail",
     .forms = form_word,
     .doc = "what happens where the tile does not divide the extent",
     .words = tail_words},
    {.path = "stages.*.loops[].partition",
     .forms = form_word,
     .doc = "splits interior from boundary; auto: but for a loop that moves an index together with an innermost one of open "
            "extent",
     .default_json = "\"auto\"",
     .words = partition_words},
    {.path = "stages.*.loops[].prefetch",
     .forms = form_list,
     .doc = "for m: S -> for m: { prefetch of(m + distance); S }",
     .cuda_alternative = "a copy in shared memory"},
    {.path = "stages.*.loops[].prefetch[]", .forms = form_record, .doc = "one prefetch"},
    {.path = "stages.*.loops[].prefetch[].of",
     .forms = form_name,
     .doc = "the stage or Input that is read ahead",
     .required = true},
    {.path = "stages.*.loops[].prefetch[].distance",
     .forms = form_integer,
     .doc = "in iterations",
     .default_json = "1",
     .high = 1048576},
    {.path = "stages.*.init", .forms = form_list, .doc = "the nest that writes the identity; default: the pure loops"},
    {.path = "stages.*.init[]", .forms = form_record, .doc = "one loop", .same_as = "stages.*.loops[]"},
    {.path = "stages.*.tile",
     .forms = form_record,
     .doc = "the short record instead of `loops`; expands to loops mb nb ks mw nw kk when bound",
     .cuda_alternative = "loops"},
    TESSERA_TILE_FIELD("tile_m", .doc = "rows of the innermost tile"),
    TESSERA_TILE_FIELD("tile_n", .doc = "columns of the innermost tile"),
    TESSERA_TILE_FIELD("tile_k", .doc = "depth of one step of the reduction"),
    TESSERA_TILE_FIELD("block_m", .doc = "rows of a block"),
    TESSERA_TILE_FIELD("block_n", .doc = "columns of a block"),
    TESSERA_TILE_FIELD("warps", .doc = "warps of a block", .high = 64, .cpu_alternative = gpu),
    TESSERA_TILE_FIELD("stages", .doc = "copies in flight", .high = 64, .cpu_alternative = gpu),
    TESSERA_TILE_FIELD("vector_width", .doc = "lanes of the innermost loop", .high = 1024),
    TESSERA_TILE_FIELD("unroll_factor", .doc = "steps of the reduction that are unrolled", .high = 1024),
    TESSERA_TILE_FIELD("prefetch_distance", .doc = "steps that are read ahead", .low = 0, .high = 1048576),
    {.path = "stages.*.tile.swizzle_pattern", .forms = form_word, .doc = "of the staged copies", .words = swizzle_words},
    {.path = "stages.*.axes", .forms = form_map, .doc = "m, n, k -> dims, instead of what the contraction's index pattern says"},
    {.path = "stages.*.axes.*", .forms = form_list, .doc = "the dims of one axis, outermost first"},
    {.path = "stages.*.axes.*[]", .forms = form_name, .doc = "a dim"},

    {.path = "stages.*.store", .forms = form_record, .doc = "where and how the values live"},
    {.path = "stages.*.store.at",
     .forms = form_name,
     .doc = "lifetime of values; further out than compute = a sliding window; a stage, or \"root\""},
    {.path = "stages.*.store.loop", .forms = form_name, .doc = "the loop that goes with `at`; none with \"root\""},
    {.path = "stages.*.store.alloc",
     .forms = form_record,
     .doc = "for y: { alloc; S } -> alloc; for y: S: a hoisted allocation, no sliding",
     .whole = true},
    {.path = "stages.*.store.alloc.at", .forms = form_name, .doc = "a stage, or \"root\"", .required = true},
    {.path = "stages.*.store.alloc.loop", .forms = form_name, .doc = "its loop; none with \"root\""},
    {.path = "stages.*.store.space", .forms = form_word, .doc = "the memory", .default_json = "\"auto\"", .words = space_words},
    {.path = "stages.*.store.layout", .forms = form_list, .doc = "B(k, n) -> B(n/16, k, n%16); outermost first"},
    {.path = "stages.*.store.layout[]",
     .forms = form_layout,
     .doc = "a dim, blocks of it, or the position in a block",
     .range_code = E0508_storage},
    {.path = "stages.*.store.align", .forms = form_map, .doc = "dim -> its allocated extent is rounded up to a multiple"},
    {.path = "stages.*.store.align.*", .forms = form_integer, .doc = "elements"},
    {.path = "stages.*.store.fold",
     .forms = form_map,
     .doc = "dim -> circular extent: a(y) -> a(y % 4)",
     .cuda_alternative = "computing the stage for whole tiles"},
    {.path = "stages.*.store.fold.*", .forms = form_integer, .doc = "elements"},
    {.path = "stages.*.store.buffers",
     .forms = form_integer,
     .doc = "copies in flight over the compute loop (pipeline depth)",
     .default_json = "1",
     .high = 64,
     .cpu_alternative = "buffers 1"},
    {.path = "stages.*.store.swizzle",
     .forms = form_word,
     .doc = "permutes addresses against bank conflicts",
     .default_json = "\"none\"",
     .words = swizzle_words},
    {.path = "stages.*.store.in",
     .forms = form_name,
     .doc = "alloc t; t; c = t -> c; lives in a consumer's buffer, same dtype",
     .cuda_alternative = "memory of its own"},

    {.path = "stages.*.engine",
     .forms = form_word,
     .doc = "what moves a copy",
     .default_json = "\"auto\"",
     .words = engine_words},
    {.path = "stages.*.vector_width",
     .forms = form_integer,
     .doc = "elements that a copy moves at once",
     .high = 1024,
     .cpu_alternative = "a vector loop",
     .cuda_alternative = "a vector loop"},
    {.path = "stages.*.method",
     .forms = form_word,
     .doc = "how a scatter or scan is computed",
     .default_json = "\"serial\"",
     .words = method_words},
    {.path = "stages.*.mma",
     .forms = form_record,
     .doc = "the unit that does a contraction",
     .whole = true,
     .cpu_alternative = "loops"},
    {.path = "stages.*.mma.atom",
     .forms = form_name,
     .doc = "\"wgmma.n256\", \"amx\", or a named micro-kernel",
     .required = true},
    {.path = "stages.*.mma.in_flight",
     .forms = form_integer,
     .doc = "products that the next one does not wait for; without it 1 where copies have 3 buffers or more",
     .low = 0,
     .high = 1},

    {.path = "variants", .forms = form_list, .doc = "deltas under conditions; the first that matches wins"},
    {.path = "variants[]", .forms = form_record, .doc = "one variant"},
    {.path = "variants[].when",
     .forms = form_condition,
     .doc = "over extents and integer Scalars; on a CPU `n % 32 == 0` is a fact when bound",
     .required = true},
    {.path = "variants[].stages", .forms = form_map, .doc = "deltas of the stages", .same_as = "stages"},

    {.path = "kernels", .forms = form_map, .doc = "stage with the block loops -> choices of its kernel"},
    {.path = "kernels.*", .forms = form_record, .doc = "one kernel", .cpu_alternative = gpu},
    {.path = "kernels.*.producer_regs", .forms = form_integer, .doc = "registers of a producer thread", .high = 255},
    {.path = "kernels.*.consumer_regs", .forms = form_integer, .doc = "registers of a consumer thread", .high = 255},
    {.path = "kernels.*.overlap", .forms = form_word, .doc = "how consumers share the work", .words = overlap_words},
    {.path = "kernels.*.raster",
     .forms = form_record,
     .doc = "the order in which blocks walk the grid",
     .whole = true,
     .cuda_alternative = "the order of the block loops"},
    {.path = "kernels.*.raster.order", .forms = form_name, .doc = "the dim that is walked first", .required = true},
    {.path = "kernels.*.raster.group",
     .forms = form_integer,
     .doc = "blocks of the other dim side by side",
     .default_json = "1",
     .high = 1048576},
    {.path = "kernels.*.persistent",
     .forms = form_boolean,
     .doc = "one block per unit walks many tiles",
     .default_json = "false"},
    {.path = "kernels.*.min_ctas",
     .forms = form_integer,
     .doc = "blocks that fit one unit at least",
     .default_json = "1",
     .high = 32},
    {.path = "kernels.*.threads",
     .forms = form_integer,
     .doc = "threads of a block, but for those that copy; with overlap pingpong of one of its two consumers",
     .high = 1024},
};
#undef TESSERA_TILE_FIELD

// The row's own part of its path: "tile", "*" or "[]".
std::string_view last_part(std::string_view path) {
    if (path.ends_with("[]")) return path.substr(path.size() - 2);
    const size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? path : path.substr(dot + 1);
}

std::string_view parent_path(std::string_view path) {
    if (path.ends_with("[]")) return path.substr(0, path.size() - 2);
    const size_t dot = path.rfind('.');
    return dot == std::string_view::npos ? std::string_view{} : path.substr(0, dot);
}

struct PrimitiveTree {
    std::map<std::string_view, std::unique_ptr<PrimitiveNode>> nodes;

    PrimitiveTree() {
        for (const PrimitiveRow& row : rows) {
            auto node = std::make_unique<PrimitiveNode>();
            node->row = &row;
            PrimitiveNode& added = *(nodes[row.path] = std::move(node));
            if (row.path.empty()) continue;
            const auto parent = nodes.find(parent_path(row.path));
            TESSERA_CHECK(parent != nodes.end(), fmt::format("primitive row {} stands before its parent", row.path));
            attach(*parent->second, added);
        }
        // Rows that share the fields of another are filled last, when those are complete.
        for (auto& [path, node] : nodes)
            if (!node->row->same_as.empty()) {
                const PrimitiveNode& shared = *nodes.at(node->row->same_as);
                node->fields = shared.fields;
                node->element = shared.element;
            }
    }

    static void attach(PrimitiveNode& parent, PrimitiveNode& child) {
        const std::string_view name = child.name();
        const bool in_value = parent.row->whole || parent.row->path.find("[].") != std::string_view::npos ||
                              parent.row->path.ends_with("[]") || name == "[]";
        child.clearable = !in_value && !child.row->required && child.row->path != "stages";
        if (name == "*" || name == "[]")
            parent.element = &child;
        else
            parent.fields.push_back(&child);
    }
};

const PrimitiveTree& primitive_tree() {
    static const PrimitiveTree tree;
    return tree;
}

std::string forms_text(const PrimitiveRow& row) {
    std::string text;
    const auto add = [&](Form form, std::string_view name) {
        if ((row.forms & form) == 0) return;
        text += (text.empty() ? "" : " or ") + std::string(name);
    };
    add(form_integer, row.low == 1 && row.high == 2147483647 ? "integer ≥ 1" : fmt::format("integer {}–{}", row.low, row.high));
    add(form_boolean, "boolean");
    add(form_name, "name");
    add(form_layout, "layout entry");
    add(form_condition, "condition");
    add(form_word, "word");
    add(form_list, "list");
    add(form_map, "map");
    add(form_record, "record");
    return text;
}

std::string support_text(std::string_view alternative) {
    return alternative.empty() ? "yes" : fmt::format("no; use {}", alternative);
}

}  // namespace

std::span<const PrimitiveRow> primitive_rows() { return rows; }

std::string_view PrimitiveNode::name() const { return last_part(row->path); }

const PrimitiveNode* PrimitiveNode::field(std::string_view wanted) const {
    for (const PrimitiveNode* node : fields)
        if (node->name() == wanted) return node;
    return nullptr;
}

const PrimitiveNode& primitive_root() { return *primitive_tree().nodes.at(""); }

std::string primitive_reference() {
    std::string out =
        "# Fields of a schedule\n\nGenerated from the table of primitives; a test keeps it equal.\n\n"
        "| field | value | default | on the CPU | on CUDA | meaning |\n|---|---|---|---|---|---|\n";
    for (const PrimitiveRow& row : primitive_rows()) {
        if (row.path.empty()) continue;
        out += fmt::format("| `{}` | {} | {} | {} | {} | {} |\n", row.path, forms_text(row),
                           row.default_json.empty() ? "" : fmt::format("`{}`", row.default_json),
                           support_text(row.cpu_alternative), support_text(row.cuda_alternative), row.doc);
        for (const WordRow& choice : row.words)
            out += fmt::format("| | `\"{}\"` | | {} | {} | {} |\n", choice.word, support_text(choice.cpu_alternative),
                               support_text(choice.cuda_alternative), choice.doc);
    }
    return out;
}

}  // namespace tessera
