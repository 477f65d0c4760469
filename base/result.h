// SPDX-License-Identifier: Apache-2.0
#pragma once

// Result<T>: a value or an Error. A function of type Result<T> may `return fail(Code::Invalid,
// "…")` or `return failed(other.error())`; tl::expected takes the rest.

#include <tl/expected.hpp>

#include "base/error.h"

namespace cvlan {

template <class T>
using Result = tl::expected<T, Error>;

inline tl::unexpected<Error> failed(Error error) { return tl::unexpected<Error>(std::move(error)); }

// With a stable code of its own, as Error::reason.
inline tl::unexpected<Error> fail_as(std::string reason, Code code, std::string message) {
    return failed(Error{code, std::move(message), 0, {}, std::move(reason)});
}

template <class... Args>
tl::unexpected<Error> fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
    return failed(Error{code, fmt::format(format, std::forward<Args>(args)...)});
}

}  // namespace cvlan
