// SPDX-License-Identifier: Apache-2.0
#include "api/client/transport.h"

#include <httplib.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "base/version.h"
#include "model/wire.h"

namespace cvlan::client {

namespace wire = model::wire;

namespace {

constexpr size_t kMaxBody = 64 << 20;
constexpr std::chrono::seconds kConnectLimit{5};

// Why no connection to this socket can be made, where the file system tells: the HTTP library only
// knows that it failed.
Result<void> check_socket(const std::string& path) {
    struct stat found {};
    if (stat(path.c_str(), &found) != 0) {
        if (errno == EACCES) return fail(Code::Denied, "{}: permission denied", path);
        return fail(Code::Unavailable, "{}: {}; is the daemon running?", path, strerror(errno));
    }
    if (!S_ISSOCK(found.st_mode)) return fail(Code::Unavailable, "{} is no socket", path);
    if (access(path.c_str(), R_OK | W_OK) != 0)
        return fail(Code::Denied, "{}: permission denied (are you root or in group cvlan?)", path);
    return {};
}

std::string why(httplib::Error error, const std::string& ca_file) {
    switch (error) {
        case httplib::Error::Connection:
            return "connection refused or no route";
        case httplib::Error::ConnectionTimeout:
            return "no connection within 5 s";
        case httplib::Error::SSLConnection:
            return "the TLS handshake failed";
        case httplib::Error::SSLLoadingCerts:
            return fmt::format("the CA file {} can not be read", ca_file);
        case httplib::Error::SSLServerVerification:
            return "its certificate is not trusted; --ca names the CA's file";
        case httplib::Error::Read:
            return "no whole answer came in time";
        case httplib::Error::Canceled:
            return "the answer is larger than 64 MiB";
        default:
            return httplib::to_string(error);
    }
}

}  // namespace

// RFC 8288, of one link: `</path?query>; rel="next"`. Only a path of the same server is followed.
static std::string next_of(const std::string& link) {
    const size_t end = link.find(">; rel=\"next\"");
    if (!link.starts_with("</") || end == std::string::npos) return {};
    return link.substr(1, end - 1);
}

struct Transport::State {
    std::string server;       // as the user wrote it, for messages
    std::string socket_path;  // empty over TLS
    std::string ca_file;
    SecretText token;
    SecretText cookie;  // of a session, "name=value"
    std::string csrf_token;
    std::unique_ptr<httplib::ClientImpl> http;

    void add_credentials(httplib::Headers& headers) const;
};

void Transport::State::add_credentials(httplib::Headers& headers) const {
    if (!token.empty()) headers.emplace("Authorization", "Bearer " + token.reveal());
    if (!cookie.empty()) headers.emplace("Cookie", cookie.reveal());
    if (!csrf_token.empty()) headers.emplace("X-CSRF-Token", csrf_token);
}

Transport::Transport(std::unique_ptr<State> state) : state_(std::move(state)) {}
Transport::Transport(Transport&&) noexcept = default;
Transport& Transport::operator=(Transport&&) noexcept = default;
Transport::~Transport() = default;

static Result<std::unique_ptr<httplib::ClientImpl>> open_unix(const std::string& path) {
    if (path.empty() || path.front() != '/')
        return fail(Code::Invalid, "'unix:{}': an absolute path must follow unix:", path);
    if (path.size() >= sizeof(sockaddr_un::sun_path))
        return fail(Code::Invalid, "{}: longer than the {} bytes of a socket's path", path,
                    sizeof(sockaddr_un::sun_path) - 1);
    auto http = std::make_unique<httplib::ClientImpl>(path);
    http->set_address_family(AF_UNIX);
    return http;
}

// "HOST:PORT", "[v6]:PORT", and without a port 443.
static Result<std::unique_ptr<httplib::ClientImpl>> open_tls(std::string_view authority,
                                                             const Target& target) {
    std::string_view host = authority, port = "443";
    const size_t colon = authority.rfind(':');
    if (colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos) {
        host = authority.substr(0, colon);
        port = authority.substr(colon + 1);
    }
    if (host.size() > 2 && host.front() == '[' && host.back() == ']')
        host = host.substr(1, host.size() - 2);
    int number = 0;
    const auto [end, bad] = std::from_chars(port.data(), port.data() + port.size(), number);
    if (host.empty() || host.find_first_of("/@?#") != std::string_view::npos ||
        bad != std::errc() || end != port.data() + port.size() || number < 1 || number > 65535)
        return fail(Code::Invalid, "'{}' is not https://HOST:PORT", target.server);
    auto tls = std::make_unique<httplib::SSLClient>(std::string(host), number, target.cert_file,
                                                    target.key_file);
    // The library takes the first certificate of the file alone; the server asks for all of them up
    // to its root.
    const bool is_good =
        tls->is_valid() &&
        (target.cert_file.empty() ||
         SSL_CTX_use_certificate_chain_file(tls->ssl_context(), target.cert_file.c_str()) == 1);
    if (!is_good)
        return fail(Code::Invalid, "the client certificate {} with key {} can not be used",
                    target.cert_file, target.key_file);
    SSL_CTX_set_min_proto_version(tls->ssl_context(), TLS1_3_VERSION);
    if (!target.ca_file.empty()) tls->set_ca_cert_path(target.ca_file);
    tls->enable_server_certificate_verification(true);
    return tls;
}

Result<Transport> Transport::open(const Target& target) {
    const std::string_view server = target.server;
    auto state = std::make_unique<State>();
    state->server = target.server;
    state->ca_file = target.ca_file;
    state->token = target.token.clone();
    Result<std::unique_ptr<httplib::ClientImpl>> http =
        fail(Code::Invalid, "'{}' is neither unix:PATH nor https://HOST:PORT", server);
    if (server.starts_with("unix:")) {
        state->socket_path = server.substr(5);
        http = open_unix(state->socket_path);
    } else if (server.starts_with("https://")) {
        std::string_view authority = server.substr(8);
        if (authority.ends_with('/')) authority.remove_suffix(1);
        http = open_tls(authority, target);
    }
    if (!http) return failed(http.error());
    state->http = std::move(*http);
    state->http->set_connection_timeout(kConnectLimit);
    state->http->set_keep_alive(true);
    state->http->set_tcp_nodelay(true);
    state->http->set_url_encode(false);
    return Transport(std::move(state));
}

Result<std::string> Transport::send(const Call& call) {
    auto answer = exchange(call);
    if (!answer) return failed(answer.error());
    return std::move(answer->body);
}

Result<Answer> Transport::exchange(const Call& call) {
    bool is_lost = false;
    auto answer = exchange_once(call, is_lost);
    if (!is_lost || call.idempotency_key.empty()) return answer;
    return exchange_once(call, is_lost);
}

// `is_lost`: the request may have come and taken effect.
Result<Answer> Transport::exchange_once(const Call& call, bool& is_lost) {
    if (!state_->socket_path.empty())
        if (auto there = check_socket(state_->socket_path); !there) return failed(there.error());
    std::string body;
    httplib::Request request;
    request.method = call.method;
    request.path = call.path;
    request.body = call.body;
    request.headers = {{"User-Agent", fmt::format("cvlanctl/{}", kVersion)},
                       {"Accept", "application/json"}};
    // The library would put the socket's path there.
    if (!state_->socket_path.empty()) request.headers.emplace("Host", "localhost");
    state_->add_credentials(request.headers);
    if (!call.body.empty()) request.headers.emplace("Content-Type", "application/json");
    if (!call.if_match.empty()) request.headers.emplace("If-Match", call.if_match);
    if (!call.idempotency_key.empty())
        request.headers.emplace("Idempotency-Key", call.idempotency_key);
    request.content_receiver = [&body](const char* bytes, size_t size, uint64_t, uint64_t) {
        if (body.size() + size > kMaxBody) return false;
        body.append(bytes, size);
        return true;
    };
    state_->http->set_read_timeout(call.patience);
    const httplib::Result answer = state_->http->send(request);
    is_lost = answer.error() == httplib::Error::Read;
    if (!answer)
        return fail(Code::Unavailable, "{}: {}", state_->server,
                    why(answer.error(), state_->ca_file));
    if (call.next) *call.next = next_of(answer->get_header_value("Link"));
    if (const std::string cookie = answer->get_header_value("Set-Cookie"); !cookie.empty())
        state_->cookie = SecretText(cookie.substr(0, cookie.find(';')));
    if (answer->status >= 200 && answer->status < 300)
        return Answer{std::move(body), answer->get_header_value("ETag")};
    return failed(problem_error(answer->status, body));
}

void Transport::set_csrf_token(std::string token) { state_->csrf_token = std::move(token); }

Error problem_error(int status, std::string_view body) {
    Error error{code_of_http(status), fmt::format("the server answered {}", status)};
    const auto problem = model::decode<wire::Problem>(body, model::kDocument);
    if (!problem) return error;
    error.message = problem->detail.value_or(problem->title);
    for (const wire::FieldError& field : problem->errors) {
        if (error.pointer.empty()) error.pointer = field.pointer;
        if (error.message.find(field.detail) == std::string::npos)
            error.message += fmt::format("; {}: {}", field.pointer, field.detail);
    }
    return error;
}

std::string url_encode(std::string_view text) {
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
        if (plain)
            out += c;
        else
            out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
    return out;
}

}  // namespace cvlan::client
