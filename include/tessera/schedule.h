#pragma once

#include <tessera/error.h>

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// The Schedule: plain data that says how an algorithm is computed, and nothing about values. Every name in it (stage, dim,
/// loop) is text; binding it to an Algorithm is what gives the names their meaning and checks them.
/// A field that is not set keeps its default, or, in deltas, what the schedule below has.
namespace tessera {

/// What runs the iterations of a loop. `mesh` goes with an axis: "mesh:<axis>" in JSON.
enum class LoopKind { serial, parallel, unroll, vector, block, cluster, warpgroup, warp, lane, thread, frag, mesh };
/// What happens where a tile does not divide its extent.
enum class Tail { guard, mask, shift_inwards, round_up, pad };
/// Whether the loop's interior is split from its boundary.
enum class Partition { auto_, never, always };
enum class Space { auto_, heap, stack, register_, shared, global };
enum class Swizzle { none, xor_, bytes32, bytes64, bytes128 };
/// Where a loop shared by fuse_with starts: at the first iteration of both, at the last, or as each stage has it.
enum class FuseAlign { none, start, end };
/// How a scatter or scan is computed.
enum class Method { serial, owner, sort, private_, atomic, blocked, lookback };
/// What moves the values of a copy.
enum class Engine { auto_, ldg, cp_async, tma, ldmatrix, stmatrix };
enum class Overlap { pingpong, cooperative };

/// The word that stands in JSON: "serial", "auto", "128B".
[[nodiscard]] std::string_view word(LoopKind);
[[nodiscard]] std::string_view word(Tail);
[[nodiscard]] std::string_view word(Partition);
[[nodiscard]] std::string_view word(Space);
[[nodiscard]] std::string_view word(Swizzle);
[[nodiscard]] std::string_view word(FuseAlign);
[[nodiscard]] std::string_view word(Method);
[[nodiscard]] std::string_view word(Engine);
[[nodiscard]] std::string_view word(Overlap);

/// Brings `of` into the cache `distance` iterations before it is read.
struct Prefetch {
    std::string of;
    std::int64_t distance = 1;
    bool operator==(const Prefetch&) const = default;
};

/// One loop: peels blocks of `tile` off `dim`; without a tile it runs over single positions (the last loop of a dim).
/// `tile` and `parts` (tile = ceil(extent / parts)) exclude each other. An empty name: referred to by its dim.
struct LoopSpec {
    std::string dim;
    std::optional<std::int64_t> tile;
    std::optional<std::int64_t> parts;
    LoopKind as = LoopKind::serial;
    std::string name;
    std::optional<Tail> tail;
    Partition partition = Partition::auto_;
    std::vector<Prefetch> prefetch;
    std::string mesh_axis;  // of kind mesh only
    bool operator==(const LoopSpec&) const = default;
};

/// A loop of a stage, by its name or by its dim where that dim has one loop. In `store`, stage "root" without a loop is
/// outside of all loops.
struct LoopRef {
    std::string stage;
    std::string loop;
    bool operator==(const LoopRef&) const = default;
};

/// Where a stage is computed; `at` is meant for kind at only.
struct Compute {
    enum class Kind { inline_, root, at };
    Kind kind = Kind::inline_;
    LoopRef at;
    bool operator==(const Compute&) const = default;
};

/// The loops down to `loop` are shared with `stage`. `online`: this maximum of rows runs in that loop of the sums that read it,
/// which are rescaled as it grows.
struct FuseWith {
    std::string stage;
    std::string loop;
    FuseAlign align = FuseAlign::none;
    bool online = false;
    bool operator==(const FuseWith&) const = default;
};

/// Where and how a stage's values live.
struct StoreSpec {
    std::optional<LoopRef> at;     // lifetime of values; further out than compute = sliding window
    std::optional<LoopRef> alloc;  // hoisted allocation only
    std::optional<Space> space;
    std::optional<std::vector<std::string>> layout;  // outermost first: "k/16", "y", "k%16"; see parse_layout_entry
    std::map<std::string, std::int64_t> align;       // a dim's allocated extent is rounded up to this
    std::map<std::string, std::int64_t> fold;        // a dim's circular extent
    std::optional<std::int64_t> buffers;             // copies in flight over the compute loop
    std::optional<Swizzle> swizzle;
    std::optional<std::string> in;  // live in this consumer's buffer
    bool operator==(const StoreSpec&) const = default;
};

/// The hardware instruction, or named micro-kernel, of a contraction.
struct Mma {
    std::string atom;
    std::optional<std::int64_t> in_flight;
    bool operator==(const Mma&) const = default;
};

/// The short record for contractions and stencils; stands instead of `loops` and expands when the schedule is bound.
struct TileRecord {
    std::optional<std::int64_t> tile_m, tile_n, tile_k, block_m, block_n, warps, stages, vector_width, unroll_factor,
        prefetch_distance;
    std::optional<Swizzle> swizzle_pattern;
    bool operator==(const TileRecord&) const = default;
};

/// What a schedule says about one stage. A stage has `loops` or `tile`, and is at most one of copy, clone and partial.
struct StageSpec {
    std::optional<Compute> compute;
    std::optional<FuseWith> fuse_with;
    std::optional<std::vector<LoopSpec>> loops;  // outermost first
    std::optional<std::vector<LoopSpec>> init;   // of reductions and scatters; unset: the pure loops
    StoreSpec store;
    std::optional<std::string> copy_of;
    std::optional<std::string> clone_of;
    std::optional<std::string> partial_of;
    std::optional<std::vector<std::string>> for_uses;  // of copies and clones: stages, or one access "C.sum#1"
    std::optional<std::vector<std::string>> keep;      // of partials: "k/256"
    std::optional<Engine> engine;
    std::optional<std::int64_t> vector_width;  // of copies: elements moved at once
    std::optional<Method> method;
    std::optional<Mma> mma;
    std::optional<TileRecord> tile;
    std::map<std::string, std::vector<std::string>> axes;  // m, n, k -> dims, where the contraction's are not meant
    std::optional<std::string> kernel;                     // groups roots into kernels
    bool operator==(const StageSpec&) const = default;

    [[nodiscard]] bool is_derived() const { return copy_of || clone_of || partial_of; }
    /// The stage or Input that this copy, clone or partial is of; "" for a stage of the algorithm.
    [[nodiscard]] const std::string& derived_from() const;
};

/// In which order blocks walk the grid: `group` blocks along the other axis before a step along `order`.
struct Raster {
    std::string order;
    std::int64_t group = 1;
    bool operator==(const Raster&) const = default;
};

/// Choices of a whole GPU kernel, named by the stage that has its block loops.
struct KernelSpec {
    std::optional<std::int64_t> producer_regs, consumer_regs;
    std::optional<Overlap> overlap;
    std::optional<Raster> raster;
    std::optional<bool> persistent;
    std::optional<std::int64_t> min_ctas;
    std::optional<std::int64_t> threads;
    bool operator==(const KernelSpec&) const = default;
};

/// Deltas that hold where `when` does ("m % 192 == 0 && k <= 256"); the first variant that matches wins.
struct Variant {
    std::string when;
    std::map<std::string, StageSpec> stages;
    std::set<std::string> clear;  // as Schedule::clear
    bool operator==(const Variant&) const = default;
};

class StageEdit;

struct Schedule {
    std::map<std::string, StageSpec> stages;  // a stage that is not listed is inline
    std::vector<Variant> variants;
    std::map<std::string, KernelSpec> kernels;
    std::set<std::string> clear;  // of deltas: JSON pointers of what derive() unsets, "/stages/C/store/fold"; null in JSON
    bool operator==(const Schedule&) const = default;

    /// Edits the record of a stage, which is made when it is not there.
    StageEdit stage(const std::string& name);
    /// Makes a derived stage and edits it.
    StageEdit copy(const std::string& name, const std::string& of, std::vector<std::string> uses);
    StageEdit clone(const std::string& name, const std::string& of, std::vector<std::string> uses);
    StageEdit partial(const std::string& name, const std::string& of, std::vector<std::string> keep);
    /// Adds a variant made of deltas; those of `deltas`' variants and kernels are not taken.
    Schedule& variant(std::string when, const Schedule& deltas);

    /// This schedule with the fields of `deltas` set over it and what `deltas` clears unset. Records merge field by field;
    /// placements and lists are replaced whole.
    /// Throws E0512 if a stage ends with both loops and a tile record.
    [[nodiscard]] Schedule derive(const Schedule& deltas) const;
};

/// One stage of a Schedule, edited in place; each call sets one field of the record and returns the editor.
/// Holds a pointer into the Schedule: use it in the statement that makes it.
class StageEdit {
public:
    StageEdit(Schedule& schedule, std::string name) : schedule_(&schedule), name_(std::move(name)) {}

    StageEdit& inline_();
    StageEdit& root();
    StageEdit& at(std::string stage, std::string loop);
    StageEdit& fuse_with(FuseWith with);

    /// Adds a loop inside those already there: `.loop({.dim = "m", .tile = 96, .as = LoopKind::parallel, .name = "mb"})`.
    StageEdit& loop(LoopSpec loop);
    /// `.parallel("m", 96, "mb")`; a tile of 0 is no tile.
    StageEdit& serial(std::string dim, std::int64_t tile = 0, std::string name = "");
    StageEdit& parallel(std::string dim, std::int64_t tile = 0, std::string name = "");
    StageEdit& unroll(std::string dim, std::int64_t tile = 0, std::string name = "");
    StageEdit& vector(std::string dim, std::int64_t tile = 0, std::string name = "");
    /// The tail, partition or prefetch of the loop added last; Error E0506 when there is none.
    StageEdit& tail(Tail tail);
    StageEdit& partition(Partition partition);
    StageEdit& prefetch(std::string of, std::int64_t distance = 1);
    StageEdit& init(std::vector<LoopSpec> loops);

    /// A loop of a stage, or "root" alone.
    StageEdit& store_at(std::string stage, std::string loop = "");
    StageEdit& alloc_at(std::string stage, std::string loop = "");
    StageEdit& space(Space space);
    StageEdit& layout(std::vector<std::string> entries);
    StageEdit& align(const std::string& dim, std::int64_t extent);
    StageEdit& fold(const std::string& dim, std::int64_t extent);
    StageEdit& buffers(std::int64_t count);
    StageEdit& swizzle(Swizzle swizzle);
    StageEdit& live_in(std::string consumer);

    StageEdit& method(Method method);
    StageEdit& mma(std::string atom, std::optional<std::int64_t> in_flight = {});
    StageEdit& engine(Engine engine, std::optional<std::int64_t> vector_width = {});
    /// Sets the fields that `record` has.
    StageEdit& tile(const TileRecord& record);
    StageEdit& kernel(std::string name);

    /// The next stage of the same schedule.
    StageEdit stage(const std::string& name) { return schedule_->stage(name); }
    [[nodiscard]] StageSpec& spec() { return schedule_->stages[name_]; }

private:
    LoopSpec& last_loop(std::string_view field);

    Schedule* schedule_;
    std::string name_;
};

/// Reads a schedule, or deltas, from JSON ("tessera_schedule": 1).
/// Throws E0601 (syntax), E0602 (unknown, repeated or wrongly typed field, with its path), E0603 (newer version),
/// E0604 (deeper than 64, larger than 16 MiB), E0509, E0511, E0512 (a record that contradicts itself).
[[nodiscard]] Schedule parse_schedule(std::string_view json);
/// Reads a file as parse_schedule does; E0605 when it cannot be read.
[[nodiscard]] Schedule read_schedule(const std::string& path);

/// Checks a schedule that was built in C++ as parse_schedule checks what it reads; throws the same codes.
void verify(const Schedule& schedule);

enum class JsonStyle { pretty, compact };
/// parse_schedule(to_json(s)) == s; fields in the order of the documentation, one loop a line when pretty.
[[nodiscard]] std::string to_json(const Schedule& schedule, JsonStyle style = JsonStyle::pretty);

/// What both say together. Throws E0510 where they set one field to different values, naming stage, field and values.
[[nodiscard]] Schedule operator|(const Schedule& a, const Schedule& b);

struct ScheduleDiff {
    Schedule deltas;   // a.derive(deltas) == b for their stages and kernels
    std::string text;  // one line a field: "C/loops[0]/tile: 96 -> 64"; empty when equal
};
[[nodiscard]] ScheduleDiff diff(const Schedule& a, const Schedule& b);

/// The form that is hashed and stored: defaults dropped, every loop named l0, l1, ... by position and references to loops
/// rewritten, variants as the smallest deltas. Two schedules that differ only in names of loops or in how they are
/// written have one canonical form.
[[nodiscard]] Schedule canonical(const Schedule& schedule);
/// SHA-256 of the canonical form's JSON with sorted keys, 64 hex digits.
[[nodiscard]] std::string content_hash(const Schedule& schedule);

/// Old name -> new name. A name that is not in its map stays, so do the names of derived stages not listed.
struct Renaming {
    std::map<std::string, std::string> stages;
    std::map<std::string, std::string> dims;
    std::map<std::string, std::string> inputs;
};
/// The schedule with stages, dims and Inputs renamed wherever they stand: keys, references, layouts, `for`, `when`.
/// Throws E0101 if two stages end with one name.
[[nodiscard]] Schedule renamed(const Schedule& schedule, const Renaming& names);

/// The schedule that runs where variant `index` matches: its deltas derived from the base, without variants.
[[nodiscard]] Schedule variant_schedule(const Schedule& schedule, std::size_t index);

/// One entry of a layout or keep list: "y", "k/16" (blocks of 16), "k%16" (position in the block), "k/16%4".
struct LayoutEntry {
    std::string dim;
    std::int64_t div = 1;  // 1: no division
    std::int64_t mod = 0;  // 0: no remainder
    bool operator==(const LayoutEntry&) const = default;
};
/// Throws E0508 naming what is wrong with the text.
[[nodiscard]] LayoutEntry parse_layout_entry(std::string_view text);
[[nodiscard]] std::string to_text(const LayoutEntry& entry);

}  // namespace tessera
