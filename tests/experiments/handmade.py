"""Parts of a results.json, made by hand."""


def contender(name, *, solved=(None, None), median=0.5, **fields):
    return {
        "contender": name,
        "hidden_size": 7,
        "parameters": 77,
        "learning_rate": 0.01,
        "learning_rates": [0.01],
        "seeds": list(range(len(solved))),
        "test": [median] * len(solved),
        "median": median,
        "interval": None,
        "best": median,
        "worst": median,
        "solved": list(solved),
        "steps": 100,
        "seconds": 12.0,
        "published": None,
        **fields,
    }


def setting(task, *contenders, **fields):
    return {
        "task": task,
        "score": "accuracy",
        "direction": "higher is better",
        "chance": 0.25,
        "memoryless": None,
        "success": "each error below 0.5, on validation data (a paper)",
        "lag": None,
        "batch_size": 8,
        "until_solved": False,
        "seconds": None,
        "contenders": list(contenders),
        "further": {},
        "texts": [],
        "figures": {},
        **fields,
    }


def summary(*settings):
    return {"experiment": "made", "settings": list(settings), "figures": {}}
