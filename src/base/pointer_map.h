#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace tessera {

/// A map from addresses for walks over graphs: one table, no allocation per entry, nothing is taken out. What it gives is valid
/// until the next place().
template <class Value>
class PointerMap {
public:
    /// The value of `key`, default-constructed where it is new, and whether it is.
    std::pair<Value*, bool> place(const void* key) {
        if (2 * (count_ + 1) > slots_.size()) grow();
        Slot& slot = slots_[find_slot(key)];
        const bool fresh = slot.key == nullptr;
        count_ += fresh;
        slot.key = key;
        return {&slot.value, fresh};
    }
    [[nodiscard]] const Value* find(const void* key) const {
        if (count_ == 0) return nullptr;
        const Slot& slot = slots_[find_slot(key)];
        return slot.key == nullptr ? nullptr : &slot.value;
    }
    [[nodiscard]] size_t size() const { return count_; }

private:
    struct Slot {
        const void* key = nullptr;
        Value value{};
    };

    // The sizes are powers of two.
    [[nodiscard]] size_t find_slot(const void* key) const {
        const std::uint64_t mixed = (reinterpret_cast<std::uintptr_t>(key) >> 4) * 0x9E3779B97F4A7C15u;
        size_t at = (mixed >> 32) & (slots_.size() - 1);
        while (slots_[at].key != nullptr && slots_[at].key != key) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    void grow() {
        std::vector<Slot> old = std::move(slots_);
        slots_ = std::vector<Slot>(old.empty() ? 32 : 4 * old.size());
        for (Slot& s : old)
            if (s.key != nullptr) slots_[find_slot(s.key)] = std::move(s);
    }

    std::vector<Slot> slots_;
    size_t count_ = 0;
};

}  // namespace tessera
