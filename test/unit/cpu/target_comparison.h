#pragma once

#include <gtest/gtest.h>
#include <tessera/compile.h>
#include <tessera/schedule_default.h>

#include "algorithm/graph.h"
#include "backend/interpreter/interpreter.h"
#include "schedule/loop_tree.h"
#include "types/runtime_dtype.h"

#include <cstring>
#include <map>
#include <string>
#include <vector>

namespace tessera::test {

/// Runs an algorithm of float inputs by definition, as the loop tree of its default schedule, and compiled by it: equal bits.
class TargetComparison {
public:
    explicit TargetComparison(const Algorithm& algorithm)
        : algorithm_(algorithm), schedule_(default_schedule(algorithm, Target())),
          meaning_(compile(algorithm, {}, parse_target("interpreter"))), tree_(build_loop_tree(bind(algorithm, schedule_))),
          host_(compile(algorithm, schedule_, Target(), {.disk_cache = false})) {}

    void at(const std::map<std::string, std::int64_t>& extents) const {
        std::string text;
        for (const auto& [name, extent] : extents) text += " " + name + "=" + std::to_string(extent);
        const Buffers given = random_inputs(extents);
        NamedInputs inputs;
        for (const auto& [name, buffer] : given) inputs.emplace(name, buffer);
        const auto want = outputs(extents), tree = outputs(extents), host = outputs(extents);
        meaning_(inputs, named(want));
        interpreter::Inputs buffers;
        for (const auto& [name, buffer] : given) buffers.emplace(name, buffer);
        interpreter::Outputs results;
        for (const auto& [name, buffer] : tree) results.emplace(name, buffer);
        interpreter::execute(tree_, buffers, results);
        host_(inputs, named(host));
        expect_equal(tree, want, "the loop tree at" + text);
        expect_equal(host, want, "the kernel at" + text);
    }

private:
    using Buffers = std::map<std::string, AnyBuffer>;

    static std::vector<std::int64_t> shape(const std::vector<Dim>& dims, const std::map<std::string, std::int64_t>& extents) {
        std::vector<std::int64_t> out;
        for (const Dim& d : dims) out.push_back(d.extent().constant() ? *d.extent().constant() : extents.at(d.name()));
        return out;
    }

    Buffers random_inputs(const std::map<std::string, std::int64_t>& extents) const {
        Buffers inputs;
        double next = 0.37;
        for (const Argument& a : algorithm_.arguments()) {
            const bool wide = a.state()->dtype == f64;
            AnyBuffer b(wide ? TESSERA_F64 : TESSERA_F32, shape(a.state()->dims, extents));
            for (std::int64_t i = 0; i < b.size(); ++i) {
                next = 3.9 * next * (1 - next);
                if (wide)
                    static_cast<double*>(b.data())[i] = 2 * next - 1;
                else
                    static_cast<float*>(b.data())[i] = static_cast<float>(2 * next - 1);
            }
            inputs.emplace(a.state()->name, b);
        }
        return inputs;
    }

    Buffers outputs(const std::map<std::string, std::int64_t>& extents) const {
        Buffers out;
        for (const Func& f : algorithm_.outputs())
            out.emplace(f.name(), AnyBuffer(runtime_dtype(f.dtype()), shape(f.dims(), extents)));
        return out;
    }
    static NamedOutputs named(const Buffers& buffers) {
        NamedOutputs out;
        for (const auto& [name, buffer] : buffers) out.emplace(name, buffer);
        return out;
    }

    static void expect_equal(const Buffers& got, const Buffers& want, const std::string& what) {
        for (const auto& [name, buffer] : got) {
            const size_t bytes = tessera_dtype_bytes(buffer.dtype());
            for (size_t i = 0; i < static_cast<size_t>(buffer.size()); ++i)
                if (std::memcmp(static_cast<const char*>(buffer.data()) + i * bytes,
                                static_cast<const char*>(want.at(name).data()) + i * bytes, bytes) != 0) {
                    ADD_FAILURE() << name << "[" << i << "] differs in " << what;
                    break;
                }
        }
    }

    Algorithm algorithm_;
    Schedule schedule_;
    Module meaning_;
    LoopTree tree_;
    Module host_;
};

}  // namespace tessera::test
