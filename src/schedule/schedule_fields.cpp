#include "base/json_text.h"
#include "schedule/schedule_json.h"
#include "schedule/schedule_words.h"

#include <concepts>
#include <type_traits>
#include <utility>

namespace tessera {
namespace {

using nlohmann::json;

template <class T, class S>
concept either = std::same_as<std::remove_const_t<T>, S>;

// The fields of each record once, for the reader and the writer. The third argument is the value that is not written.
template <class Io, either<Prefetch> S>
void visit_fields(Io& io, S& s) {
    io("of", s.of);
    io("distance", s.distance, std::int64_t{1});
}
template <class Io, either<LoopSpec> S>
void visit_fields(Io& io, S& s) {
    io("name", s.name);
    io("dim", s.dim);
    io.tile(s);
    io.kind(s);
    io("tail", s.tail);
    io("partition", s.partition, Partition::auto_);
    io("prefetch", s.prefetch);
}
template <class Io, either<LoopRef> S>
void visit_fields(Io& io, S& s) {
    io("at", s.stage);
    io("loop", s.loop);
}
template <class Io, either<FuseWith> S>
void visit_fields(Io& io, S& s) {
    io("stage", s.stage);
    io("loop", s.loop);
    io("align", s.align, FuseAlign::none);
    io("online", s.online, false);
}
template <class Io, either<StoreSpec> S>
void visit_fields(Io& io, S& s) {
    io.pair(s.at);
    io("alloc", s.alloc);
    io("space", s.space);
    io("layout", s.layout);
    io("align", s.align);
    io("fold", s.fold);
    io("buffers", s.buffers);
    io("swizzle", s.swizzle);
    io("in", s.in);
}
template <class Io, either<Mma> S>
void visit_fields(Io& io, S& s) {
    io("atom", s.atom);
    io("in_flight", s.in_flight);
}
template <class Io, either<TileRecord> S>
void visit_fields(Io& io, S& s) {
    io("tile_m", s.tile_m);
    io("tile_n", s.tile_n);
    io("tile_k", s.tile_k);
    io("block_m", s.block_m);
    io("block_n", s.block_n);
    io("warps", s.warps);
    io("stages", s.stages);
    io("vector_width", s.vector_width);
    io("unroll_factor", s.unroll_factor);
    io("prefetch_distance", s.prefetch_distance);
    io("swizzle_pattern", s.swizzle_pattern);
}
template <class Io, either<StageSpec> S>
void visit_fields(Io& io, S& s) {
    io("compute", s.compute);
    io("fuse_with", s.fuse_with);
    io("loops", s.loops);
    io("init", s.init);
    io("store", s.store, StoreSpec{});
    io("copy_of", s.copy_of);
    io("clone_of", s.clone_of);
    io("partial_of", s.partial_of);
    io("for", s.for_uses);
    io("keep", s.keep);
    io("engine", s.engine);
    io("vector_width", s.vector_width);
    io("method", s.method);
    io("mma", s.mma);
    io("tile", s.tile);
    io("axes", s.axes);
    io("kernel", s.kernel);
}
template <class Io, either<Raster> S>
void visit_fields(Io& io, S& s) {
    io("order", s.order);
    io("group", s.group, std::int64_t{1});
}
template <class Io, either<KernelSpec> S>
void visit_fields(Io& io, S& s) {
    io("producer_regs", s.producer_regs);
    io("consumer_regs", s.consumer_regs);
    io("overlap", s.overlap);
    io("raster", s.raster);
    io("persistent", s.persistent);
    io("min_ctas", s.min_ctas);
    io("threads", s.threads);
}
template <class Io, either<Variant> S>
void visit_fields(Io& io, S& s) {
    io("when", s.when);
    io("stages", s.stages);
}
template <class Io, either<Schedule> S>
void visit_fields(Io& io, S& s) {
    io("stages", s.stages);
    io("variants", s.variants);
    io("kernels", s.kernels);
}

// Writes null where the pointer leads, unless a value stands there; makes the objects on the way.
void write_null(json& root, const std::string& pointer) {
    if (!pointer.starts_with("/"))
        throw Error(E0602_schema, {}, "'" + pointer.substr(0, 80) + "' is not a JSON pointer",
                    {fix("what deltas clear is written \"/stages/C/store/fold\"")});
    json* at = &root;
    for (size_t begin = 1; begin <= pointer.size();) {
        const size_t end = std::min(pointer.find('/', begin), pointer.size());
        if (!at->is_object()) return;
        const std::string key = pointer_unescape(pointer.substr(begin, end - begin));
        const bool last = end == pointer.size();
        if (!at->contains(key)) (*at)[key] = last ? json(nullptr) : json::object();
        at = &(*at)[key];
        begin = end + 1;
    }
}

class FieldWriter {
public:
    template <class T>
    void operator()(const char* key, const std::optional<T>& field) {
        if (field) object[key] = value_of(*field);
    }
    template <class T>
    void operator()(const char* key, const T& field) {
        if (!field.empty()) object[key] = value_of(field);
    }
    template <class T>
    void operator()(const char* key, const T& field, const T& unwritten) {
        if (!(field == unwritten)) object[key] = value_of(field);
    }
    void pair(const std::optional<LoopRef>& at) {
        if (at) visit_fields(*this, *at);
    }
    void tile(const LoopSpec& loop) {
        if (loop.tile && loop.parts)
            throw Error(E0503_tile, {}, "a loop over " + loop.dim + " has both a tile and parts",
                        {fix("parts stand instead of a tile")});
        if (loop.tile) object["tile"] = *loop.tile;
        if (loop.parts) object["tile"] = json{{"parts", *loop.parts}};
    }
    void kind(const LoopSpec& loop) {
        if (loop.as == LoopKind::mesh)
            object["as"] = "mesh:" + loop.mesh_axis;
        else if (loop.as != LoopKind::serial)
            object["as"] = word(loop.as);
    }

    static json value_of(std::int64_t value) { return value; }
    static json value_of(bool value) { return value; }
    static json value_of(const std::string& value) { return value; }
    template <class E>
    requires std::is_enum_v<E>
    static json value_of(E value) { return word(value); }
    static json value_of(const Compute& compute) {
        if (compute.kind == Compute::Kind::at) return record_of(compute.at);
        return compute_words[compute.kind == Compute::Kind::root ? 1 : 0].word;
    }
    static json value_of(const Variant& variant) {
        json value = record_of(variant);
        if (!value.contains("stages")) value["stages"] = json::object();
        for (const std::string& pointer : variant.clear) write_null(value, pointer);
        return value;
    }
    template <class T>
    static json value_of(const std::vector<T>& list) {
        json values = json::array();
        for (const T& item : list) values.push_back(value_of(item));
        return values;
    }
    template <class T>
    static json value_of(const std::map<std::string, T>& map) {
        json values = json::object();
        for (const auto& [key, item] : map) values[key] = value_of(item);
        return values;
    }
    template <class T>
    requires std::is_class_v<T>
    static json value_of(const T& record) { return record_of(record); }
    template <class T>
    static json record_of(const T& record) {
        FieldWriter writer;
        visit_fields(writer, record);
        return std::move(writer.object);
    }

    json object = json::object();
};

class FieldReader {
public:
    explicit FieldReader(const json& object) : object_(object) {}

    template <class T>
    void operator()(const char* key, std::optional<T>& field) {
        if (const json* value = find(key)) read(*value, field.emplace());
    }
    template <class T>
    void operator()(const char* key, T& field) {
        if (const json* value = find(key)) read(*value, field);
    }
    template <class T>
    void operator()(const char* key, T& field, const T&) {
        (*this)(key, field);
    }
    void pair(std::optional<LoopRef>& at) {
        if (find("at") != nullptr) visit_fields(*this, at.emplace());
    }
    void tile(LoopSpec& loop) {
        const json* value = find("tile");
        if (value == nullptr) return;
        if (value->is_object())
            loop.parts = value->at("parts").get<std::int64_t>();
        else
            loop.tile = value->get<std::int64_t>();
    }
    void kind(LoopSpec& loop) {
        const json* value = find("as");
        if (value == nullptr) return;
        const auto& text = value->get_ref<const std::string&>();
        if (text.starts_with("mesh:")) {
            loop.as = LoopKind::mesh;
            loop.mesh_axis = text.substr(5);
        } else {
            loop.as = from_word<LoopKind>(text).value();
        }
    }

    static void read(const json& value, std::int64_t& field) { field = value.get<std::int64_t>(); }
    static void read(const json& value, bool& field) { field = value.get<bool>(); }
    static void read(const json& value, std::string& field) { field = value.get<std::string>(); }
    template <class E>
    requires std::is_enum_v<E>
    static void read(const json& value, E& field) { field = from_word<E>(value.get_ref<const std::string&>()).value(); }
    static void read(const json& value, Compute& field) {
        if (value.is_object()) {
            field.kind = Compute::Kind::at;
            read_record(value, field.at);
        } else {
            field.kind = value == compute_words[1].word ? Compute::Kind::root : Compute::Kind::inline_;
        }
    }
    template <class T>
    static void read(const json& value, std::vector<T>& field) {
        for (const json& item : value) read(item, field.emplace_back());
    }
    template <class T>
    static void read(const json& value, std::map<std::string, T>& field) {
        for (const auto& item : value.items())
            if (!item.value().is_null()) read(item.value(), field[item.key()]);
    }
    template <class T>
    requires std::is_class_v<T>
    static void read(const json& value, T& field) { read_record(value, field); }
    template <class T>
    static void read_record(const json& value, T& field) {
        FieldReader reader(value);
        visit_fields(reader, field);
    }

private:
    const json* find(const char* key) const {
        const auto found = object_.find(key);
        return found == object_.end() || found->is_null() ? nullptr : &*found;
    }

    const json& object_;
};

// Takes the nulls out of `value` into pointers, with the objects that held nothing else.
void take_nulls(json& value, const std::string& pointer, std::set<std::string>& nulls) {
    for (auto item = value.begin(); item != value.end();) {
        const std::string inner = pointer + "/" + pointer_escape(item.key());
        bool remove = item->is_null();
        if (remove) nulls.insert(inner);
        if (item->is_object() && !item->empty()) {
            take_nulls(*item, inner, nulls);
            remove = item->empty();
        }
        item = remove ? value.erase(item) : std::next(item);
    }
}

}  // namespace

json schedule_to_value(const Schedule& schedule) {
    json value = FieldWriter::record_of(schedule);
    value["tessera_schedule"] = 1;
    if (!value.contains("stages")) value["stages"] = json::object();
    for (const std::string& pointer : schedule.clear) write_null(value, pointer);
    return value;
}

Schedule schedule_from_value(const json& value) {
    json rest = value;
    Schedule schedule;
    take_nulls(rest, "", schedule.clear);
    std::vector<std::set<std::string>> variant_clears;
    if (const auto variants = rest.find("variants"); variants != rest.end())
        for (json& variant : *variants) take_nulls(variant, "", variant_clears.emplace_back());
    FieldReader::read_record(rest, schedule);
    for (size_t i = 0; i < variant_clears.size(); ++i) schedule.variants[i].clear = std::move(variant_clears[i]);
    return schedule;
}

}  // namespace tessera
