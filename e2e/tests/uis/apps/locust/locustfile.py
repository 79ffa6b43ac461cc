from locust import User, constant, task


class Idle(User):
    wait_time = constant(0.1)

    @task
    def work(self):
        self.environment.events.request.fire(
            request_type="WORK", name="a task of mine", response_time=1, response_length=0, exception=None, context={}
        )
