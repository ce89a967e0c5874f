#include <tessera/schedule.h>

#include <fmt/format.h>

#include <utility>

namespace tessera {
namespace {

LoopSpec loop_of(std::string dim, std::int64_t tile, LoopKind kind, std::string name) {
    LoopSpec loop{.dim = std::move(dim), .as = kind, .name = std::move(name)};
    if (tile != 0) loop.tile = tile;
    return loop;
}

template <class T>
void set_if(std::optional<T>& field, const std::optional<T>& value) {
    if (value) field = value;
}

}  // namespace

StageEdit Schedule::stage(const std::string& name) {
    stages[name];
    return {*this, name};
}

StageEdit Schedule::copy(const std::string& name, const std::string& of, std::vector<std::string> uses) {
    stages[name].copy_of = of;
    stages[name].for_uses = std::move(uses);
    return {*this, name};
}

StageEdit Schedule::clone(const std::string& name, const std::string& of, std::vector<std::string> uses) {
    stages[name].clone_of = of;
    stages[name].for_uses = std::move(uses);
    return {*this, name};
}

StageEdit Schedule::partial(const std::string& name, const std::string& of, std::vector<std::string> keep) {
    stages[name].partial_of = of;
    stages[name].keep = std::move(keep);
    return {*this, name};
}

Schedule& Schedule::variant(std::string when, const Schedule& deltas) {
    variants.push_back({std::move(when), deltas.stages, deltas.clear});
    return *this;
}

StageEdit& StageEdit::inline_() {
    spec().compute = Compute{};
    return *this;
}

StageEdit& StageEdit::root() {
    spec().compute = Compute{Compute::Kind::root, {}};
    return *this;
}

StageEdit& StageEdit::at(std::string stage, std::string loop) {
    spec().compute = Compute{Compute::Kind::at, {std::move(stage), std::move(loop)}};
    return *this;
}

StageEdit& StageEdit::fuse_with(FuseWith with) {
    spec().fuse_with = std::move(with);
    return *this;
}

StageEdit& StageEdit::loop(LoopSpec loop) {
    auto& loops = spec().loops;
    if (!loops) loops.emplace();
    loops->push_back(std::move(loop));
    return *this;
}

StageEdit& StageEdit::serial(std::string dim, std::int64_t tile, std::string name) {
    return loop(loop_of(std::move(dim), tile, LoopKind::serial, std::move(name)));
}
StageEdit& StageEdit::parallel(std::string dim, std::int64_t tile, std::string name) {
    return loop(loop_of(std::move(dim), tile, LoopKind::parallel, std::move(name)));
}
StageEdit& StageEdit::unroll(std::string dim, std::int64_t tile, std::string name) {
    return loop(loop_of(std::move(dim), tile, LoopKind::unroll, std::move(name)));
}
StageEdit& StageEdit::vector(std::string dim, std::int64_t tile, std::string name) {
    return loop(loop_of(std::move(dim), tile, LoopKind::vector, std::move(name)));
}

LoopSpec& StageEdit::last_loop(std::string_view field) {
    auto& loops = spec().loops;
    if (!loops || loops->empty())
        throw Error(E0506_loop_kind, {}, fmt::format("{} is set on stage {} before it has a loop", field, name_),
                    {fix("add a loop first: .serial(dim, tile)")});
    return loops->back();
}

StageEdit& StageEdit::tail(Tail tail) {
    last_loop("a tail").tail = tail;
    return *this;
}

StageEdit& StageEdit::partition(Partition partition) {
    last_loop("a partition").partition = partition;
    return *this;
}

StageEdit& StageEdit::prefetch(std::string of, std::int64_t distance) {
    last_loop("a prefetch").prefetch.push_back({std::move(of), distance});
    return *this;
}

StageEdit& StageEdit::init(std::vector<LoopSpec> loops) {
    spec().init = std::move(loops);
    return *this;
}

StageEdit& StageEdit::store_at(std::string stage, std::string loop) {
    spec().store.at = LoopRef{std::move(stage), std::move(loop)};
    return *this;
}

StageEdit& StageEdit::alloc_at(std::string stage, std::string loop) {
    spec().store.alloc = LoopRef{std::move(stage), std::move(loop)};
    return *this;
}

StageEdit& StageEdit::space(Space space) {
    spec().store.space = space;
    return *this;
}

StageEdit& StageEdit::layout(std::vector<std::string> entries) {
    spec().store.layout = std::move(entries);
    return *this;
}

StageEdit& StageEdit::align(const std::string& dim, std::int64_t extent) {
    spec().store.align[dim] = extent;
    return *this;
}

StageEdit& StageEdit::fold(const std::string& dim, std::int64_t extent) {
    spec().store.fold[dim] = extent;
    return *this;
}

StageEdit& StageEdit::buffers(std::int64_t count) {
    spec().store.buffers = count;
    return *this;
}

StageEdit& StageEdit::swizzle(Swizzle swizzle) {
    spec().store.swizzle = swizzle;
    return *this;
}

StageEdit& StageEdit::live_in(std::string consumer) {
    spec().store.in = std::move(consumer);
    return *this;
}

StageEdit& StageEdit::method(Method method) {
    spec().method = method;
    return *this;
}

StageEdit& StageEdit::mma(std::string atom, std::optional<std::int64_t> in_flight) {
    spec().mma = Mma{std::move(atom), in_flight};
    return *this;
}

StageEdit& StageEdit::engine(Engine engine, std::optional<std::int64_t> vector_width) {
    spec().engine = engine;
    set_if(spec().vector_width, vector_width);
    return *this;
}

StageEdit& StageEdit::tile(const TileRecord& record) {
    auto& own = spec().tile;
    if (!own) own.emplace();
    set_if(own->tile_m, record.tile_m);
    set_if(own->tile_n, record.tile_n);
    set_if(own->tile_k, record.tile_k);
    set_if(own->block_m, record.block_m);
    set_if(own->block_n, record.block_n);
    set_if(own->warps, record.warps);
    set_if(own->stages, record.stages);
    set_if(own->vector_width, record.vector_width);
    set_if(own->unroll_factor, record.unroll_factor);
    set_if(own->prefetch_distance, record.prefetch_distance);
    set_if(own->swizzle_pattern, record.swizzle_pattern);
    return *this;
}

StageEdit& StageEdit::kernel(std::string name) {
    spec().kernel = std::move(name);
    return *this;
}

}  // namespace tessera
