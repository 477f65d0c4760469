// SPDX-License-Identifier: Apache-2.0
#pragma once

// The one error type. A failure says what its caller can do about it (Code) and what happened,
// outermost first. Library exceptions never travel past the place that calls the library.

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace cvlan {

// What a caller can do about a failure. Add a code only when some caller would act on it.
enum class Code {
    Invalid,      // the input is wrong and says so: 400, exit 1
    NotFound,     // 404, exit 3
    Exists,       // 409, exit 5
    Conflict,     // 409, exit 5
    Denied,       // 401 or 403, exit 4
    Gone,         // 410: was valid once (a spent or expired token), exit 4
    Unavailable,  // try again later: 503, exit 6
    Malformed,    // bytes which are not what they claim to be
    Unsupported,  // the kernel or a peer lacks it
    TooLarge,     // 413
    Internal,
};

struct [[nodiscard]] Error {
    Code code = Code::Internal;
    std::string message;    // outermost first: "wg cv0: change peer 4fQx: no such device"
    int sys_errno = 0;      // 0 when no system call failed
    std::string pointer{};  // RFC 6901, where the fault is a field of a JSON document
    // Which of the cases of its code it is, where a program asks: "TOKEN_SPENT". The API's own
    // code.
    std::string reason{};

    // Says what the caller was doing; all else stays that of the cause.
    Error while_doing(std::string_view doing) const {
        return {code, fmt::format("{}: {}", doing, message), sys_errno, pointer, reason};
    }
};

// The failure of a system call, from errno as it stands: "open /etc/x: Permission denied".
Error errno_error(std::string_view doing);
Error errno_error(std::string_view doing, int sys_errno);

// What a client can do about an HTTP status of 400 or above (RFC 9110); the inverse of the server's
// table in api/error.cc.
Code code_of_http(int status);

}  // namespace cvlan
