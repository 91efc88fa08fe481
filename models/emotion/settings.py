from models.emotion.search import SearchSettings
