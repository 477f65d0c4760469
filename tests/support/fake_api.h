// SPDX-License-Identifier: Apache-2.0
#pragma once

// A server of canned answers on a unix socket of its own, in this process: what a client of our API
// is tested against. Not for daemons: they use http/.

#include <httplib.h>
#include <unistd.h>

#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace cvlan::test {

class FakeApi {
public:
    using Answer = std::function<void(const httplib::Request&, httplib::Response&)>;

    FakeApi() {
        char folder[] = "/tmp/cvlan-fake-XXXXXX";
        folder_ = mkdtemp(folder);
        path_ = folder_ + "/api.sock";
        server_.set_address_family(AF_UNIX);
    }
    ~FakeApi() {
        server_.stop();
        if (thread_.joinable()) thread_.join();
        unlink(path_.c_str());
        rmdir(folder_.c_str());
    }

    // `path` is a regular expression. Routes first, then start().
    void on(const std::string& method, const std::string& path, const Answer& answer) {
        const Answer noted = [this, answer](const httplib::Request& request,
                                            httplib::Response& response) {
            {
                const std::lock_guard lock(mutex_);
                seen_.push_back(request.method + " " + request.target);
                bodies_.push_back(request.body);
                authorizations_.push_back(request.get_header_value("Authorization"));
            }
            answer(request, response);
        };
        if (method == "GET") server_.Get(path, noted);
        if (method == "POST") server_.Post(path, noted);
        if (method == "PATCH") server_.Patch(path, noted);
        if (method == "DELETE") server_.Delete(path, noted);
    }
    void reply(const std::string& method, const std::string& path, int status,
               const std::string& json) {
        on(method, path, [=](const httplib::Request&, httplib::Response& response) {
            response.status = status;
            response.set_content(json,
                                 status < 400 ? "application/json" : "application/problem+json");
        });
    }
    void start() {
        server_.bind_to_port(path_.c_str(), 80);
        thread_ = std::thread([this] { server_.listen_after_bind(); });
        while (!server_.is_running()) std::this_thread::yield();
    }

    const std::string& path() const { return path_; }
    std::vector<std::string> seen() const { return locked(seen_); }
    std::vector<std::string> bodies() const { return locked(bodies_); }
    std::vector<std::string> authorizations() const { return locked(authorizations_); }

private:
    std::vector<std::string> locked(const std::vector<std::string>& list) const {
        const std::lock_guard lock(mutex_);
        return list;
    }
    httplib::Server server_;
    std::string folder_, path_;
    std::thread thread_;
    mutable std::mutex mutex_;
    std::vector<std::string> seen_, bodies_, authorizations_;
};

inline std::string problem(int status, const std::string& detail) {
    return R"({"type":"about:blank","title":"Refused","status":)" + std::to_string(status) +
           R"(,"detail":")" + detail + R"(","code":"X","requestId":"r"})";
}

}  // namespace cvlan::test
