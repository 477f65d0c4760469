// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <cerrno>
#include <system_error>

namespace cvlan {

namespace {

Code code_of(int sys_errno) {
    switch (sys_errno) {
        case ENOENT:
        case ENODEV:
        case ENXIO:
        case ESRCH:
            return Code::NotFound;
        case EEXIST:
        case EADDRINUSE:
            return Code::Exists;
        case EPERM:
        case EACCES:
            return Code::Denied;
        case EAGAIN:
        case EBUSY:
        case ENOMEM:
        case ENOBUFS:
        case ETIMEDOUT:
        case ECONNREFUSED:
        case ECONNRESET:
        case ENETUNREACH:
        case EHOSTUNREACH:
        case ENOSPC:
        case EDQUOT:
        case EIO:
            return Code::Unavailable;
        case EINVAL:
        case ERANGE:
            return Code::Invalid;
        case EOPNOTSUPP:
        case EPROTONOSUPPORT:
        case EAFNOSUPPORT:
            return Code::Unsupported;
        default:
            return Code::Internal;
    }
}

}  // namespace

Error errno_error(std::string_view doing, int sys_errno) {
    return {code_of(sys_errno),
            fmt::format("{}: {}", doing, std::generic_category().message(sys_errno)), sys_errno};
}

Error errno_error(std::string_view doing) { return errno_error(doing, errno); }

Code code_of_http(int status) {
    switch (status) {
        case 401:
        case 403:
            return Code::Denied;
        case 404:
            return Code::NotFound;
        case 409:
        case 412:
            return Code::Conflict;
        case 410:
            return Code::Gone;
        case 413:
            return Code::TooLarge;
        case 408:
        case 429:
        case 502:
        case 503:
        case 504:
            return Code::Unavailable;
        default:
            return status >= 500 ? Code::Internal : Code::Invalid;
    }
}

}  // namespace cvlan
