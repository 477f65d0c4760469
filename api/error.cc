// SPDX-License-Identifier: Apache-2.0
#include "api/error.h"

#include "base/log.h"
#include "model/wire.h"
#include "store/types.h"

namespace cvlan::api {

namespace {

std::string_view name_of(Code code) {
    switch (code) {
        case Code::Invalid:
            return "INVALID";
        case Code::NotFound:
            return "NOT_FOUND";
        case Code::Exists:
            return "EXISTS";
        case Code::Conflict:
            return "CONFLICT";
        case Code::Denied:
            return "DENIED";
        case Code::Gone:
            return "GONE";
        case Code::Unavailable:
            return "UNAVAILABLE";
        case Code::Malformed:
            return "INVALID";
        case Code::Unsupported:
            return "UNSUPPORTED";
        case Code::TooLarge:
            return "TOO_LARGE";
        case Code::Internal:
            return "INTERNAL";
    }
    return "INTERNAL";
}

http::Response problem_response(model::wire::Problem problem) {
    http::Response response;
    response.status = static_cast<int>(problem.status);
    response.content_type = "application/problem+json";
    response.body = model::wire::encode(problem);
    return response;
}

model::wire::Problem problem_of(int status, std::string_view code, std::string_view request_id) {
    model::wire::Problem problem;
    problem.type = "about:blank";
    problem.title = std::string(http::reason(status));
    problem.status = status;
    problem.code = std::string(code);
    problem.request_id = std::string(request_id);
    return problem;
}

}  // namespace

int status_of(Code code) {
    switch (code) {
        case Code::Invalid:
        case Code::Malformed:
        case Code::Unsupported:
            return 400;
        case Code::NotFound:
            return 404;
        case Code::Exists:
        case Code::Conflict:
            return 409;
        case Code::Denied:
            return 403;
        case Code::Gone:
            return 410;
        case Code::TooLarge:
            return 413;
        case Code::Unavailable:
            return 503;
        case Code::Internal:
            return 500;
    }
    return 500;
}

http::Response error_response(const Error& error, std::string_view request_id) {
    const std::string_view code = error.reason.empty() ? name_of(error.code) : error.reason;
    // RFC 9110 section 15.5.13; to whoever acts on codes it is a conflict like others.
    const int status = code == store::kRevisionMismatch ? 412 : status_of(error.code);
    auto problem = problem_of(status, code, request_id);
    if (error.code == Code::Internal) {
        log::error("api.internal", {{"request", request_id}, {"reason", error.message}});
        problem.detail = "the controller failed; its log has the reason under this request id";
        return problem_response(std::move(problem));
    }
    problem.detail = error.message;
    if (!error.pointer.empty()) problem.errors.push_back({error.pointer, error.message});
    auto response = problem_response(std::move(problem));
    if (error.code == Code::Unavailable) response.headers.push_back({"Retry-After", "1"});
    return response;
}

http::Response refusal(int status, std::string_view code, std::string_view detail,
                       std::string_view request_id) {
    auto problem = problem_of(status, code, request_id);
    problem.detail = std::string(detail);
    return problem_response(std::move(problem));
}

}  // namespace cvlan::api
