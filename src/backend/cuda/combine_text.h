#pragma once

#include "backend/cuda/scalar_text.h"
#include "schedule/stages.h"

namespace tessera::cuda {

/// Writes how threads that hold a partial each combine them, in a fixed tree, so that all have the same bits.
class CombineText {
public:
    /// `declare` gives a variable a name.
    CombineText(Lines& lines, ScalarText& scalars, std::function<std::string(const Expr&)> declare)
        : lines_(lines), scalars_(scalars), declare_(std::move(declare)) {}

    /// `parts`: the thread's partial, per component. Of one warp its lanes; several leave theirs in shared memory, from byte
    /// `shared` on.
    void write(const Stage& stage, const std::vector<std::string>& parts, std::int64_t warps, std::int64_t shared);
    /// Of one warp's lanes, `count` neighbours each.
    void write_lanes(const Stage& stage, const std::vector<std::string>& parts, std::int64_t count) {
        lanes(stage, parts, count);
    }
    /// The same for each thread of the partials of the threads before it, in their order; the first one gets the identity.
    void write_before(const Stage& stage, const std::vector<std::string>& parts, std::int64_t warps, std::int64_t shared);

private:
    using Names = std::vector<std::string>;
    void leave(const Stage& s, const Names& parts, std::int64_t shared);
    void take(const Stage& s, const Names& parts, std::int64_t warps, std::int64_t shared);
    static std::string partial_at(size_t component, std::int64_t shared);
    void lanes(const Stage& s, const Names& parts, std::int64_t count = 32);
    void lanes_before(const Stage& s, const Names& total, const Names& before);
    void exchange(const Stage& s, const Names& parts, const std::string& mask, const Names* before = nullptr);
    void assign(const Stage& s, const Names& to, const Names& left, const Names& right);
    Names copies(const Stage& s, const std::string& name, const Names& of);
    Names identity(const Stage& s);
    std::string shuffled(DType t, const std::string& shuffle, const std::string& value, const std::string& by);
    std::string thread() { return scalars_.call("tid") + "()"; }

    Lines& lines_;
    ScalarText& scalars_;
    std::function<std::string(const Expr&)> declare_;
};

}  // namespace tessera::cuda
