// SPDX-License-Identifier: Apache-2.0
#include "reconcile/step.h"

#include <type_traits>

namespace cvlan::reconcile {

namespace {

// How a step names its device: itself, or by the object it carries.
template <class One>
std::string_view device_of_one(const One& step) {
    if constexpr (requires { step.device; }) {
        return step.device;
    } else if constexpr (requires { step.address.device; }) {
        return step.address.device;
    } else if constexpr (requires { step.route.device; }) {
        return step.route.device;
    } else {
        return {};
    }
}

}  // namespace

std::string text(const Step& step) {
    return std::visit([](const auto& one) { return text(one); }, step);
}

std::string_view device_of(const Step& step) {
    return std::visit([](const auto& one) { return device_of_one(one); }, step);
}

std::optional<uint32_t> table_of(const Step& step) {
    return std::visit(
        [](const auto& one) -> std::optional<uint32_t> {
            if constexpr (requires { one.route.table; }) return one.route.table;
            if constexpr (requires { one.rule.table; }) return one.rule.table;
            return std::nullopt;
        },
        step);
}

bool is_removal(const Step& step) {
    return std::holds_alternative<RemoveLink>(step) ||
           std::holds_alternative<RemoveAddress>(step) ||
           std::holds_alternative<RemovePeer>(step) || std::holds_alternative<RemoveRoute>(step) ||
           std::holds_alternative<RemoveRule>(step);
}

}  // namespace cvlan::reconcile
